//! Sources behind servers: polite, authorised, kept. The asks are those of `asks.rs`.

use std::sync::{Arc, Mutex};

use netcdf_writer::NcWriteFormat;

use crate::command::{Ran, command, levain, ran};
use crate::grib::samples::{Message, PLAIN};
use crate::loopback::{Answer, Loopback, Seen};
use crate::made::{Baked, Folder, Made, counted, day};

const DAYS: &str = "days since 2000-01-01";

/// Serves a file for each day: `/0.nc`, `/1.nc`...
fn days(
    count: usize,
    change: impl Fn(&Loopback, &Seen, Answer) -> Answer + Send + Sync + 'static,
) -> Loopback {
    let files: Vec<Vec<u8>> =
        (0..count).map(|step| day(DAYS, &[step as f64], step as f32 * 6.0).bytes()).collect();
    Loopback::start(move |server, seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        let place: Option<usize> =
            path.strip_prefix('/').and_then(|it| it.strip_suffix(".nc")?.parse().ok());
        match place.and_then(|place| files.get(place)) {
            Some(file) => {
                let answer = Answer::file(seen, file).with("ETag", format!("\"{path}\""));
                change(server, seen, answer)
            }
            None => Answer::status(404),
        }
    })
}

fn bake(server: &Loopback, count: usize, out: &str, flags: &[&str]) -> Ran {
    let urls: Vec<String> = (0..count).map(|place| server.url(&format!("{place}.nc"))).collect();
    let mut arguments = vec!["bake"];
    arguments.extend(urls.iter().map(String::as_str));
    arguments.extend([out, "--progress", "none"]);
    arguments.extend(flags);
    levain(&arguments)
}

fn count(seen: &[Seen], method: &str) -> usize {
    seen.iter().filter(|seen| seen.method == method).count()
}

#[test]
fn ask_23_a_host_is_asked_for_no_more_than_it_may_be_by_all_threads_together() {
    let server = days(8, |server, _, answer| {
        server.wait_for_in_flight(3);
        answer
    });
    let folder = Folder::new();
    let flags = ["--max-requests-per-host", "2", "--threads", "4"];
    bake(&server, 8, &folder.text("out.zarr"), &flags).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 48));
    assert_eq!(server.most_in_flight(), 2);
    // Without the flag there is more.
    bake(&server, 8, &folder.text("more.zarr"), &["--threads", "4"]).check_done();
    assert!(server.most_in_flight() > 2, "{}", server.most_in_flight());
}

#[test]
fn ask_23_a_host_that_throttles_is_waited_for_as_long_as_it_asks() {
    let server = days(3, |_, seen, answer| match seen.place {
        1 => Answer::status(429).with("Retry-After", "1"),
        3 => Answer::status(503).with("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"),
        _ => answer,
    });
    let folder = Folder::new();
    bake(&server, 3, &folder.text("out.zarr"), &[]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 18));
    let busy = Loopback::start(|_, _| Answer::status(429).with("Retry-After", "3600"));
    let ran = bake(&busy, 1, &folder.text("no.zarr"), &["--max-throttle-wait", "0.05"]);
    ran.check_refused("E401", 6, &["0.nc", "429", "--max-requests-per-host"]);
    assert!(!folder.path("no.zarr").exists());
}

#[test]
fn ask_24_a_file_is_fetched_once_whole_and_proved_before_it_is_used() {
    // Every first answer with bytes breaks in the middle.
    let broken: Mutex<Vec<String>> = Mutex::default();
    let server = days(3, move |_, seen, answer| {
        let mut broken = broken.lock().expect("no panic");
        if seen.method == "GET" && !broken.contains(&seen.target) {
            broken.push(seen.target.clone());
            return Answer { breaks_after: Some(answer.body.len() / 2), ..answer };
        }
        answer
    });
    let folder = Folder::new();
    let cache = folder.text("cache");
    for out in ["a.zarr", "b.zarr"] {
        bake(&server, 3, &folder.text(out), &["--cache", &cache]).check_done();
        assert_eq!(Baked::open(&folder.text(out)).values::<f32>("t2m"), counted(0.0, 18));
        let gets: Vec<Seen> =
            server.seen().into_iter().filter(|seen| seen.method == "GET").collect();
        // One for the first half of each, one for the rest of each; none for the second store.
        assert_eq!(gets.len(), 6);
        assert_eq!(gets.iter().filter(|seen| seen.range().is_some()).count(), 3);
    }
    // A copy of which a byte was changed is not baked.
    for copy in std::fs::read_dir(folder.path("cache/content")).expect("copies") {
        let copy = copy.expect("a copy").path();
        let mut bytes = std::fs::read(&copy).expect("reads");
        *bytes.last_mut().expect("has bytes") ^= 1;
        std::fs::write(&copy, bytes).expect("writes");
    }
    bake(&server, 3, &folder.text("c.zarr"), &["--cache", &cache]).check_done();
    assert_eq!(Baked::open(&folder.text("c.zarr")).values::<f32>("t2m"), counted(0.0, 18));
    assert_eq!(count(&server.seen(), "GET"), 9);
}

#[test]
fn ask_24_two_processes_share_a_cache() {
    let server = days(6, |_, _, answer| answer);
    let folder = Folder::new();
    let urls: Vec<String> = (0..6).map(|place| server.url(&format!("{place}.nc"))).collect();
    let children: Vec<_> = ["a.zarr", "b.zarr"]
        .map(|out| {
            let mut arguments = vec!["bake".to_owned()];
            arguments.extend(urls.iter().cloned());
            arguments.extend([folder.text(out), "--cache".to_owned(), folder.text("cache")]);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = command(&arguments);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().expect("the command can be started")
        })
        .into();
    for child in children {
        ran(child.wait_with_output().expect("a child")).check_done();
    }
    for out in ["a.zarr", "b.zarr"] {
        assert_eq!(Baked::open(&folder.text(out)).values::<f32>("t2m"), counted(0.0, 36));
    }
    assert_eq!(count(&server.seen(), "GET"), 6);
}

/// The bytes of a file, and the number of its version.
type Served = Arc<Mutex<(Vec<u8>, u32)>>;

/// Serves a file of large messages under a tag that can be changed.
fn forecast() -> (Loopback, Served) {
    let message = |step| Message { step, size: [400, 400], base: 0, ..PLAIN }.edition_2();
    let bytes = (0..20).map(message).collect::<Vec<_>>().concat();
    let file = Arc::new(Mutex::new((bytes, 1)));
    let own = Arc::clone(&file);
    let server = Loopback::start(move |_, seen| {
        let (bytes, version) = &*own.lock().expect("no panic");
        Answer::file(seen, bytes).with("ETag", format!("\"{version}\""))
    });
    (server, file)
}

#[test]
fn ask_20_the_index_of_a_grib_file_is_built_by_ranges_and_kept() {
    let (server, file) = forecast();
    let folder = Folder::new();
    let (url, out, cache) = (server.url("f.grib2"), folder.text("out.zarr"), folder.text("cache"));
    let flags = ["--cache", &cache, "--cache-keeps", "indexes", "--progress", "none"];
    let plan = || {
        let asked_before = server.seen().len();
        let arguments = [&["plan", "bake", &url, &out][..], &flags].concat();
        levain(&arguments).check_done();
        server.seen()[asked_before..].to_vec()
    };
    let first = plan();
    // A block for each message, in place of the file.
    assert!(count(&first, "GET") >= 20, "{first:?}");
    assert!(first.iter().all(|seen| seen.method == "HEAD" || seen.range().is_some()));
    let second = plan();
    assert!(!second.is_empty() && count(&second, "GET") == 0, "{second:?}");
    let kept = std::fs::read_dir(folder.path("cache/indexes")).expect("indexes");
    let kept: u64 = kept.map(|it| it.and_then(|it| it.metadata()).expect("facts").len()).sum();
    let whole = file.lock().expect("no panic").0.len() as u64;
    assert!(kept < whole / 10, "{kept} bytes kept of {whole}");
    // What is baked by a kept index is what is baked without one.
    let indexed = folder.text("indexed.zarr");
    levain(&[&["bake", &url, &indexed][..], &flags].concat()).check_done();
    let plain = folder.text("plain.zarr");
    levain(&["bake", &url, &plain, "--progress", "none"]).check_done();
    let [with, without] = [&indexed, &plain].map(|it| Baked::open(it).values::<f32>("t"));
    assert!(with.len() == 20 * 160_000 && with == without);
    // Of another version the index is thrown away.
    let other = Message { level: 500, ..PLAIN }.edition_2();
    *file.lock().expect("no panic") = (other.repeat(1), 2);
    let third = plan();
    assert!(count(&third, "GET") > 0, "{third:?}");
}

#[test]
fn ask_20_the_index_of_hdf5_chunks_is_kept_as_well() {
    // Noise, so that it is not small when it is deflated, and far more chunks than one block names.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state)
    });
    let values: Vec<f64> = noise.take(1_200_000).collect();
    let file = Made::new()
        .dimension("x", values.len() as u64)
        .variable("noise", "x", values.clone(), &[])
        .chunked(&[400])
        .format(NcWriteFormat::Nc4)
        .bytes();
    assert!(file.len() > 5 << 20, "{} bytes are held whole", file.len());
    let server = Loopback::start(move |_, seen| Answer::file(seen, &file).with("ETag", "\"a\""));
    let folder = Folder::new();
    let (url, cache) = (server.url("n.nc"), folder.text("cache"));
    let asked = |out: &str, flags: &[&str]| {
        let asked_before = server.seen().len();
        let out = folder.text(out);
        let arguments = [&["bake", &url, &out, "--progress", "none"][..], flags].concat();
        levain(&arguments).check_done();
        assert!(Baked::open(&out).values::<f64>("noise") == values);
        count(&server.seen()[asked_before..], "GET")
    };
    let keep = ["--cache", &cache, "--cache-keeps", "indexes"];
    let (plain, first, second) = (asked("a", &[]), asked("b", &keep), asked("c", &keep));
    assert!(first <= plain && second < first, "{plain}, {first}, {second} requests");
}

#[test]
fn ask_36_secrets_are_read_where_they_lie_renewed_and_told_to_their_hosts_only() {
    let folder = Folder::new();
    let token = folder.put_bytes("token.txt", b"hunter2-old\n");
    let renewed = folder.path("token.txt");
    // The data lie behind a redirect, at a host that is to know nothing.
    let data = days(2, |_, _, answer| answer);
    let place = data.url("");
    let door = Loopback::start(move |_, seen| match seen.header("authorization") {
        Some("Bearer hunter2-new") => {
            let target = seen.target.trim_start_matches('/');
            Answer::status(302).with("Location", format!("{place}{target}"))
        }
        Some("Bearer hunter2-old") => {
            // At once: others read it meanwhile.
            let beside = renewed.with_extension(format!("{}", seen.place));
            std::fs::write(&beside, "hunter2-new").expect("writes");
            std::fs::rename(&beside, &renewed).expect("renames");
            Answer::status(401)
        }
        _ => Answer::status(403),
    });
    let out = folder.text("out.zarr");
    let recipe = format!(
        "sources = [{:?}, {:?}]\ndestination = {out:?}\n\
         [[fetch.secrets]]\nhosts = [{:?}]\nbearer = \"file:token.txt\"\n",
        door.url("0.nc"),
        door.url("1.nc"),
        door.host(),
    );
    let recipe = folder.put_bytes("recipe.toml", recipe.as_bytes());
    let ran = levain(&["bake", &recipe, "--output", "json", "-vv"]);
    ran.check_done();
    assert_eq!(Baked::open(&out).values::<f32>("t2m"), counted(0.0, 12));
    assert!(data.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(
        door.seen().iter().any(|seen| seen.header("authorization") == Some("Bearer hunter2-new"))
    );
    assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let run_store = read_all(&folder.path("out.zarr.levain"));
    assert!(!run_store.is_empty() && !run_store.contains("hunter2"));
    // Without the secret, and with one in place of its name.
    bake(&door, 1, &folder.text("no.zarr"), &[]).check_refused("E403", 6, &["0.nc"]);
    let bearer = format!("{}=hunter2", door.host());
    let ran = bake(&door, 1, &folder.text("no.zarr"), &["--bearer", &bearer]);
    ran.check_refused("E601", 5, &["env:NAME"]);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let bearer = format!("{}=file:{token}", door.host());
    bake(&door, 1, &folder.text("one.zarr"), &["--bearer", &bearer]).check_done();
}

/// All files below a folder, one after the other, as far as they are texts.
fn read_all(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.push_str(&read_all(&path)),
            false => all.push_str(&String::from_utf8_lossy(&std::fs::read(path).expect("reads"))),
        }
    }
    all
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused_by_its_name() {
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let server = days(2, move |_, seen, mut answer| {
        // The second file is another one from its third answer on: it is open by then.
        let is_second = seen.target == "/1.nc";
        if is_second && answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2 {
            answer.headers.retain(|(name, _)| *name != "ETag");
            return answer.with("ETag", "\"new\"");
        }
        answer
    });
    let folder = Folder::new();
    let ran = bake(&server, 2, &folder.text("out.zarr"), &["--threads", "1"]);
    ran.check_refused("E201", 1, &["1.nc", "changed"]);
    assert!(!folder.path("out.zarr").join("zarr.json").exists());
}

#[test]
fn answers_that_are_no_data_are_refused() {
    let page = b"<!DOCTYPE html><html>Sign in</html>";
    for (body, says) in [(&page[..], "HTML"), (b"", "the file is empty")] {
        let server = Loopback::start(move |_, seen| match (body, seen.range()) {
            ([], Some(_)) => Answer::status(416),
            _ => Answer::file(seen, body).with("ETag", "\"a\""),
        });
        let folder = Folder::new();
        for flags in [&[][..], &["--cache", &folder.text("cache")]] {
            let ran = bake(&server, 1, &folder.text("out.zarr"), flags);
            ran.check_refused("E203", 1, &["0.nc", says]);
        }
    }
}

#[test]
fn broken_messages_are_left_out_and_named_where_that_is_asked_for() {
    let messages = [850, 500, 300].map(|level| Message { level, ..PLAIN }.edition_2());
    let place = messages[0].len();
    let mut bytes = messages.concat();
    // The end of the second message is not where its header says.
    bytes[place + 8..place + 16].copy_from_slice(&(messages[1].len() as u64 - 4).to_be_bytes());
    let folder = Folder::new();
    let path = folder.put_bytes("b.grib", &bytes);
    let out = folder.text("out.zarr");
    levain(&["bake", &path, &out]).check_refused("E202", 1, &["b.grib", "byte"]);
    let flags = ["--broken-messages", "skip", "--output", "json"];
    let named = format!("the message at byte {place} is skipped");
    for job in [&["plan", "bake"][..], &["bake"]] {
        let ran = levain(&[job, &[&path, &out], &flags].concat());
        ran.check_done();
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let warnings = told["plan"]["warnings"].as_array().expect("a list");
        let is_named = |it: &serde_json::Value| {
            it.as_str().is_some_and(|it| it.contains(&named) && it.contains("b.grib"))
        };
        assert!(warnings.iter().any(is_named), "{warnings:?}");
    }
    assert_eq!(Baked::open(&out).values::<f64>("isobaricInhPa"), [850.0, 300.0]);
    let refused = levain(&["bake", &path, &out, "--broken-messages", "ignore"]);
    refused.check_refused("E100", 4, &["error, skip"]);
}
