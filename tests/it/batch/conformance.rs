//! The conformance suite on the batch runner: worker processes over files.

use levain::dataflow::testing::conformance::cases;

use super::rebuilt::Rebuilt;
use crate::made::Folder;

/// Rows that look into the process in which their steps run, and so see nothing of other ones. Each
/// holds where workers are threads.
const SEEN_IN_PROCESS: [&str; 7] = ["CO13", "LC1", "LC2", "LC3", "LC5", "ME6", "PA1"];

#[test]
#[expect(clippy::print_stdout, reason = "how many rows hold is asked for with `--nocapture`")]
fn rows_hold_on_worker_processes_over_files() {
    let folder = Folder::new();
    let (mut passed, mut failures) = (0, Vec::new());
    for case in cases().filter(|case| !SEEN_IN_PROCESS.contains(&case.id)) {
        let runner = Rebuilt::new(case.id, folder.text("runs"), folder.path("logs"));
        match case.check(&runner) {
            Ok(()) => passed += 1,
            Err(error) => failures.push(format!("{}: {error}", case.id)),
        }
    }
    println!("batch, worker processes over files: {passed} rows hold");
    assert!(failures.is_empty(), "{} rows do not hold:\n{}", failures.len(), failures.join("\n\n"));
}
