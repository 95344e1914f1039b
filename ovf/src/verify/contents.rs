//! The descriptor's rules about members: each is there, none else is, in the right order and size.

use std::collections::HashMap;

use super::Tolerance;
use super::expectation::Expectation;
use super::run::Run;
use crate::error::Kind;
use crate::package::{MemberName, Role};

pub(super) fn check(run: &mut Run<'_>, whole: bool) {
    if run.archive {
        order_of_roles(run);
    }
    let Some(mut expected) = run.expected.take() else {
        return;
    };
    let seen: HashMap<_, _> = run
        .files
        .iter()
        .map(|file| (file.name.clone(), file.size))
        .collect();
    for expectation in &mut expected {
        expectation.settle(&seen);
    }
    let places = places(&expected);
    if run.archive {
        unlisted(run, &places);
        order_of_files(run, &places);
    }
    if whole {
        for expectation in &expected {
            sizes(run, expectation, &seen);
        }
    }
    run.expected = Some(expected);
}

/// Each expected member's place in the order of the References.
fn places(expected: &[Expectation]) -> HashMap<MemberName, usize> {
    let names = expected.iter().flat_map(|expectation| &expectation.names);
    names
        .enumerate()
        .map(|(place, name)| (name.clone(), place))
        .collect()
}

/// Descriptor, manifest, certificate, files; or the two in the middle at the very end (DSP0243 5.3).
fn order_of_roles(run: &mut Run<'_>) {
    let ends: &[Role] = match (run.manifest.is_some(), run.certificate.is_some()) {
        (true, true) => &[Role::Manifest, Role::Certificate],
        (true, false) => &[Role::Manifest],
        (false, true) => &[Role::Certificate],
        (false, false) => &[],
    };
    let rest = run.order.get(1..).unwrap_or_default();
    let in_order = (rest.starts_with(ends) || rest.ends_with(ends))
        && rest.iter().filter(|role| **role != Role::File).count() == ends.len();
    if in_order {
        return run.report.ok(
            Kind::PackageOrder,
            None,
            "descriptor, manifest and certificate file are in their places",
        );
    }
    let manifest = run.manifest.as_ref().map(|(text, _)| text.name.to_string());
    let member = manifest.or_else(|| run.certificate.as_ref().map(|text| text.name.to_string()));
    let reason = "manifest and certificate file stand neither after the descriptor nor at the end";
    violated_order(run, member.as_deref(), reason);
}

fn order_of_files(run: &mut Run<'_>, places: &HashMap<MemberName, usize>) {
    let mut latest = None;
    let mut early = None;
    for file in &run.files {
        let Some(place) = places.get(&file.name) else {
            continue;
        };
        if latest.is_some_and(|latest| *place < latest) {
            early = Some(file.name.to_string());
            break;
        }
        latest = Some(*place);
    }
    match early {
        None => run.report.ok(
            Kind::PackageOrder,
            None,
            "the files are in the order of the References",
        ),
        Some(name) => violated_order(
            run,
            Some(&name),
            "the file is not in its place in the order of the References",
        ),
    }
}

fn violated_order(run: &mut Run<'_>, member: Option<&str>, reason: &str) {
    let (policy, tolerance) = (run.policy, Tolerance::MemberOrder);
    run.report
        .violated(policy, tolerance, Kind::PackageOrder, member, reason);
}

fn unlisted(run: &mut Run<'_>, places: &HashMap<MemberName, usize>) {
    let strangers: Vec<_> = run
        .files
        .iter()
        .filter(|file| !places.contains_key(&file.name))
        .map(|file| file.name.to_string())
        .collect();
    if strangers.is_empty() {
        run.report
            .ok(Kind::PackageUnlisted, None, "the descriptor refers to every file");
    }
    for name in &strangers {
        run.report.failed(
            Kind::PackageUnlisted,
            Some(name),
            "the descriptor does not refer to the member",
        );
    }
}

fn sizes(run: &mut Run<'_>, expectation: &Expectation, seen: &HashMap<MemberName, u64>) {
    let first = expectation.names.first().map(MemberName::as_str);
    match (expectation.check_sizes(seen), expectation.size()) {
        (Err(error), _) => run.report.failed(
            error.kind(),
            error.place().member.as_deref(),
            error.reason().to_owned(),
        ),
        (Ok(()), Some(size)) => run.report.ok(
            Kind::PackageSize,
            first,
            format!("{size} bytes, as the descriptor says"),
        ),
        (Ok(()), None) => run
            .report
            .skipped(Kind::PackageSize, first, "the descriptor tells no size"),
    }
}
