//! Recipes as programs: their own binary is driver, worker and pool.

use super::workers::{WorkerPool, is_of_worker, service, worker_script};
use crate::batch::recipe::Desk;
use crate::command::Ran;
use crate::determinism::objects;

/// Counts into a folder, as `words` say.
fn count(desk: &Desk, counts: &str, words: &[&str]) -> Ran {
    let counts = format!("{counts}/words");
    let own = ["run", "--progress=none", "--shards", "3"];
    desk.run(&[&own, words, &["texts/*.txt", &counts]].concat())
}

#[test]
fn words_are_counted_by_workers_of_a_runner_as_by_one_process() {
    let (Some(service), Some(desk)) = (service(), Desk::open()) else { return };
    count(&desk, "direct", &[]).check_done();
    let want = objects(&desk.folder.path("direct"));
    assert_eq!(want.len(), 4, "three shards and their manifest: {:?}", want.keys());
    let endpoint = service.endpoint();
    let beam = ["--runner", "beam", "--endpoint", &endpoint];
    let pool = WorkerPool::start(&desk.program);
    let script = worker_script(desk.folder.root(), &desk.program).display().to_string();
    let environments: [(&str, &[&str]); 3] = [
        ("loopback", &[]),
        ("external", &["--environment", "external", "--beam-pool", &pool.address]),
        ("process", &["--environment", "process", "--worker-command", &script]),
    ];
    for (name, words) in environments {
        let ran = count(&desk, name, &[&beam[..], words].concat());
        assert_eq!(ran.exit, Some(0), "{name}: {}\n{}", ran.stderr, service.log());
        let folder = desk.folder.path(name);
        assert!(want == objects(&folder), "{name}: other bytes than those of one process");
        for key in want.keys() {
            assert_eq!(is_of_worker(&folder.join(key)), name != "loopback", "{name}: {key}");
        }
    }
}

#[test]
fn a_pool_of_another_program_says_so() {
    let (Some(service), Some(desk)) = (service(), Desk::open()) else { return };
    let pool = WorkerPool::start(env!("CARGO_BIN_EXE_levain").as_ref());
    let endpoint = service.endpoint();
    let beam = ["--runner", "beam", "--endpoint", &endpoint];
    let external = ["--environment", "external", "--beam-pool", &pool.address];
    let ran = count(&desk, "other", &[&beam[..], &external[..]].concat());
    ran.check_refused("E113", 4, &["give the workers the binary that the driver runs"]);
}
