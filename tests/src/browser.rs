//! Chromium without a window, driven over WebDriver (W3C).

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{artefacts, counterpart, web};

const PATIENCE: Duration = Duration::from_secs(120);
/// The key of an element's reference (section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser; dropped, it is closed.
pub struct Browser {
    driver: Child,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ask("DELETE", &self.session, None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn ask(method: &str, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "120", "-X", method, url]);
    if let Some(body) = body {
        curl.args(["-H", "Content-Type: application/json", "--data-binary", "@-"]);
        curl.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = curl.spawn().unwrap();
        running
            .stdin
            .take()
            .unwrap()
            .write_all(body.to_string().as_bytes())
            .unwrap();
        return answer(&running.wait_with_output().unwrap().stdout);
    }
    answer(&curl.output().unwrap().stdout)
}

fn answer(bytes: &[u8]) -> Result<Value, String> {
    let told: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match told["value"]["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", told["value"]["message"])),
        None => Ok(told["value"].clone()),
    }
}

impl Browser {
    /// One that takes the certificates of connectors; nothing where there is no Chromium.
    pub fn open() -> Option<Self> {
        let mut driver = counterpart::find("chromedriver")?;
        counterpart::find("chromium")?;
        let port = web::free_port();
        let driver = driver
            .args([&format!("--port={port}"), "--log-level=OFF"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut browser = Self {
            driver,
            session: String::new(),
        };
        let base = format!("http://127.0.0.1:{port}");
        let start = Instant::now();
        while ask("GET", &format!("{base}/status"), None).is_err() {
            assert!(start.elapsed() < PATIENCE, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        // A container has no room in /dev/shm and no namespaces to spare.
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1100,900",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = ask("POST", &format!("{base}/session"), Some(&wanted)).unwrap();
        browser.session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        ask("POST", &url, Some(body)).unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.session);
        ask("GET", &url, None).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    pub fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// What an element says; nothing where there is none.
    pub fn text(&self, selector: &str) -> String {
        // In one step: a page that renews itself takes its elements away.
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.post("/execute/sync", &json!({ "script": script, "args": [selector] }));
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an element says something, which the page has to come to by itself.
    pub fn wait_for(&self, selector: &str, wanted: &str) {
        let start = Instant::now();
        while !self.text(selector).contains(wanted) {
            assert!(
                start.elapsed() < PATIENCE,
                "no '{wanted}' in\n{}",
                self.text("body")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs a script that returns something.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Keeps a picture of what is seen, beside what was built.
    pub fn picture(&self, name: &str) {
        let folder = artefacts::workspace().join("out/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let encoded = self.get("/screenshot");
        let mut decode = Command::new("base64");
        decode.arg("-d").stdin(Stdio::piped());
        decode.stdout(std::fs::File::create(folder.join(Path::new(name))).unwrap());
        let mut running = decode.spawn().unwrap();
        running
            .stdin
            .take()
            .unwrap()
            .write_all(encoded.as_str().unwrap().as_bytes())
            .unwrap();
        assert!(running.wait().unwrap().success());
    }

    /// What the browser complained about since it was asked last.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let lines = log.as_array().unwrap().iter();
        lines
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }
}
