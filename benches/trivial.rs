//! The least `/init`: says that it runs, and stays. What a boot costs beyond this is the runtime's.

fn main() {
    println!("trivial: running");
    loop {
        std::thread::park();
    }
}
