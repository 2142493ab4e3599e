//! Shows that the infrastructure checks can fail: breaks the emulated environment, one resource
//! after the other, and expects exactly one check to fail each time.

use std::collections::BTreeSet;
use std::io::{Write, stdout};

use anyhow::{Context, Result, ensure};
use url::{Host, Url};

use crate::infrastructure::{self, Environment};

/// Runs all breaks. Returns whether each one made exactly its check fail, every check has a break,
/// and all repairs succeeded.
///
/// # Errors
/// The environment is not emulated on this machine, or a check fails before the first break.
pub(crate) fn run(environment: &Environment) -> Result<bool> {
    ensure_emulated(environment.aws.config.endpoint_url())?;
    let failed = failed(environment)?;
    ensure!(
        failed.is_empty(),
        "these checks fail before anything was broken: {}. Run: make deploy",
        list(&failed)
    );
    let width = infrastructure::all()
        .map(|check| check.name.len())
        .max()
        .unwrap_or_default();
    let (mut breaks, mut wrong, mut never_broken) = (0, 0, BTreeSet::new());
    for check in infrastructure::all() {
        if check.absent(&environment.deployed).is_some() {
            continue;
        }
        if check.breaks.is_empty() {
            never_broken.insert(check.name);
        }
        for change in check.breaks {
            let failed = (change.harm)(environment).and_then(|()| self::failed(environment));
            // The repair also runs after an error or an interrupt.
            environment.aws.continue_after_deadline();
            (change.repair)(environment).with_context(|| {
                format!("{:?} could not be repaired. Run: make deploy", check.name)
            })?;
            let failed = failed?;
            environment.aws.stop_at_deadline();
            let as_expected = failed == BTreeSet::from([check.name]);
            let (result, note) = if as_expected {
                ("ok", "the only failed check".to_owned())
            } else {
                ("WRONG", format!("failed checks: {}", list(&failed)))
            };
            breaks += 1;
            wrong += usize::from(!as_expected);
            writeln!(stdout().lock(), "{result:6}{:width$}  {note}", check.name)?;
        }
    }
    let left = self::failed(environment)?;
    writeln!(
        stdout().lock(),
        "{} of {breaks} breaks made exactly their check fail; failed checks after all repairs: {}; \
         checks without a break: {}",
        breaks - wrong,
        list(&left),
        list(&never_broken)
    )?;
    Ok(wrong == 0 && left.is_empty() && never_broken.is_empty())
}

/// Returns the checks that fail.
fn failed(environment: &Environment) -> Result<BTreeSet<&'static str>> {
    let mut failed = BTreeSet::new();
    for check in infrastructure::all() {
        environment.aws.ensure_time_is_left()?;
        let absent = check.absent(&environment.deployed).is_some();
        if !absent && (check.run)(environment).is_err() {
            failed.insert(check.name);
        }
    }
    Ok(failed)
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// # Errors
/// AWS is not emulated on this machine.
fn ensure_emulated(endpoint: Option<&str>) -> Result<()> {
    let is_loopback = endpoint
        .and_then(|url| Url::parse(url).ok())
        .is_some_and(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        });
    ensure!(
        is_loopback,
        "the drill breaks what it checks, so it runs only on the emulator of this machine. Set \
         AWS_ENDPOINT_URL to its URL"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ensure_emulated;

    #[test]
    fn the_drill_runs_only_on_this_machine() {
        for url in [
            "http://127.0.0.1:4566",
            "http://localhost:4566",
            "http://[::1]:4566/",
        ] {
            ensure_emulated(Some(url)).unwrap();
        }
        for url in [
            None,
            Some("https://dynamodb.eu-west-1.amazonaws.com"),
            Some("http://localhost.example.com"),
            Some("http://192.168.0.1:4566"),
            Some("not a URL"),
        ] {
            assert!(ensure_emulated(url).is_err(), "{url:?}");
        }
    }
}
