//! The store: whether it can be reached, written, read, listed and cleared, and whether it keeps its
//! one promise.

use std::io::Write as _;

use levain::batch::aws::BatchSettings;
use levain::batch::{RunStore, probe};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::objects::{Location, Objects, StoreOptions, now_ms};

use super::checks::Checks;
use crate::cli::settled::Settled;

/// Clocks may differ by so much before signatures are refused; a third of it is told.
const SKEW_WARNING_MS: i64 = 5 * 60 * 1000;

/// Where runs are kept; nothing where nobody says it and it is not needed.
///
/// # Errors
/// A store that is needed and not named.
pub(super) fn url(settled: &Settled, is_needed: bool) -> Result<&str> {
    let url = settled.config().text("store.url");
    if url.is_none() && is_needed {
        let message = "no store is named, which the hello job would reach";
        let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
        return Err(error.mend("give --store URL, or the setting store.url"));
    }
    Ok(url.unwrap_or_default())
}

/// The options of a store of runs, by the settings.
pub(super) fn options(settings: &BatchSettings, base: StoreOptions) -> StoreOptions {
    let mut options = base.with_retry_count(2);
    if let Some(profile) = &settings.profile {
        options = options.with_profile(profile);
    }
    options
}

/// Checks a store; whether all is well.
pub(super) fn check(url: &str, reach: &StoreOptions, checks: &mut Checks) -> bool {
    let opened = Location::parse(url).and_then(|root| {
        let root = root.join(&format!("doctor-{:x}", now_ms()));
        Ok((Objects::open(&root, reach)?, root))
    });
    let (objects, root) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            checks.failure("store", error);
            return false;
        }
    };
    match steps(&objects, &root, reach) {
        Ok(skew_ms) => {
            let seconds = skew_ms as f64 / 1000.0;
            checks.well(
                "store",
                &format!(
                    "{url} write/read/list/parts/create-once/delete, clock skew {seconds:.1} s"
                ),
            );
            if let Some(text) = skew_text(skew_ms) {
                let mend = "set the clock (ntp): at 15 minutes every request is refused";
                checks.warning("clock", &text, mend);
            }
            true
        }
        Err(error) => {
            checks.failure("store", error);
            false
        }
    }
}

/// What is wrong with a clock, if it differs by too much.
fn skew_text(skew_ms: i64) -> Option<String> {
    let seconds = skew_ms as f64 / 1000.0;
    let text =
        format!("the clock of this machine differs from that of the store by {seconds:.0} s");
    (skew_ms.abs() > SKEW_WARNING_MS).then_some(text)
}

/// Writes an object as long ones are written.
fn in_parts(objects: &Objects) -> Result<()> {
    let mut writer = objects.writer("parts")?.in_parts()?;
    writer.write_all(b"hello").map_err(Error::from)?;
    writer.finish()
}

/// Does with one small object all that runs do; how far the clocks are apart, in milliseconds.
fn steps(objects: &Objects, root: &Location, reach: &StoreOptions) -> Result<i64> {
    let doing = |what: &str, action: &str| {
        let what = what.to_owned();
        let action = action.to_owned();
        move |error: Error| explained(error, &what, &action)
    };
    let began = now_ms();
    let put = objects.put("hello", "hello".into()).wait();
    put.map_err(doing("an object cannot be written", "s3:PutObject"))?;
    let ended = now_ms();
    let read = objects.get("hello").map_err(doing("an object cannot be read", "s3:GetObject"))?;
    if read != "hello" {
        let message = "an object is read that was not written";
        return Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
            .mend("another server than S3? its caches must not answer for old objects"));
    }
    let listed = objects.list("").map_err(doing("a prefix cannot be listed", "s3:ListBucket"))?;
    let found = listed.iter().find(|it| it.key.ends_with("hello"));
    let Some(found) = found else {
        let message = "an object that was written is not listed";
        return Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
            .mend("runs need a store that lists what was written, as S3 does"));
    };
    let parts = "s3:PutObject and s3:AbortMultipartUpload";
    let written = in_parts(objects);
    written.map_err(doing("an object cannot be written in parts", parts))?;
    let uploads = objects.unfinished("");
    uploads.map_err(doing("uploads cannot be listed", "s3:ListBucketMultipartUploads"))?;
    let deleted = objects.delete("parts");
    deleted.map_err(doing("an object cannot be deleted", "s3:DeleteObject"))?;
    let probed = probe(&RunStore::open(root, reach)?);
    let mend = "use S3 itself, or a server that honours `If-None-Match: *` on PUT";
    let probed = probed.map_err(|error| error.mend(mend));
    probed.map_err(doing("objects cannot be created once", "s3:PutObject"))?;
    let deleted = objects.delete_all("").map(drop);
    deleted.map_err(doing("an object cannot be deleted", "s3:DeleteObject"))?;
    let middle = began + (ended - began) / 2;
    // The store tells whole seconds.
    let skew_ms = found.last_modified_ms - middle;
    Ok(if skew_ms.abs() < 1500 { 0 } else { skew_ms })
}

/// The same error, with what was tried and the permission that it needs.
fn explained(error: Error, what: &str, action: &str) -> Error {
    let is_denied = error.code() == ErrorCode::STORE_DENIED;
    let error = error.context(what);
    if !is_denied {
        return error.mend("check the URL: the bucket or the folder must be there and writable");
    }
    let denied = Error::new(error.code(), error.kind(), error.message());
    let places: Vec<(String, String)> =
        error.places().map(|(role, place)| (role.to_owned(), place.to_owned())).collect();
    let denied = places.iter().fold(denied, |denied, (role, place)| denied.at(role, place));
    denied.mend(format!(
        "allow {action}: `levain infra policy --for driver` prints all that is needed"
    ))
}

#[cfg(test)]
mod tests {
    use super::skew_text;

    /// E21: in either direction, and no sooner than it matters.
    #[test]
    fn a_clock_that_is_wrong_is_told() {
        assert_eq!(skew_text(299_000), None);
        assert_eq!(skew_text(-299_000), None);
        for skew_ms in [301_000, -301_000] {
            let text = skew_text(skew_ms).expect("it differs by five minutes");
            assert!(text.contains(&format!("{} s", skew_ms / 1000)), "{text}");
        }
    }
}
