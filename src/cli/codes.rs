//! Pages of error codes: why each comes, and how to mend it. What each means stands with the code.

use levain::dataflow::error::ErrorCode;

/// What there is to say of a code.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) code: ErrorCode,
    pub(crate) why: &'static str,
    pub(crate) mend: &'static str,
}

const fn page(code: ErrorCode, why: &'static str, mend: &'static str) -> Page {
    Page { code, why, mend }
}

/// The pages of all codes, ascending.
pub(crate) const PAGES: &[Page] = &[
    page(
        ErrorCode::INVALID_RECIPE,
        "A flag, a word of a recipe or a call of the library says what cannot be: a name that nothing is called, two wishes that exclude each other, a text that is no number.",
        "The error names the word and what it may be. `levain COMMAND --help` lists flags, docs/recipes.md the words of recipes.",
    ),
    page(
        ErrorCode::DUPLICATE_NAME,
        "Two transforms of a pipeline were applied under one name within one scope; names are how steps are told apart in reports, metrics and resumed runs.",
        "Give one of them another name: `apply_named`.",
    ),
    page(
        ErrorCode::KEY_NOT_DETERMINISTIC,
        "Grouping compares the encoded bytes of keys. The coder of this key may encode equal keys differently, so that equal keys would not meet.",
        "Use a key of integers, texts, booleans or tuples of them, or derive `Element` for a struct of those.",
    ),
    page(
        ErrorCode::NOT_DECLARED,
        "A DoFn asked for a side input or wrote to an output that its ParDo was not told about.",
        "Declare it: `.with_side(&view)` or `.with_output(&tag)` where the ParDo is applied.",
    ),
    page(
        ErrorCode::RUNNER_CANNOT,
        "The plan has a transform that needs what this runner does not offer: state, timers, unbounded input, an error policy.",
        "Choose another runner, or leave that transform out; `levain runners --matrix` shows what each offers.",
    ),
    page(
        ErrorCode::MEMORY_TOO_SMALL,
        "One task alone needs more memory than was allowed, whatever is spilled. This is known before anything runs.",
        "Allow what the error names (--mem, or the setting limits.mem), or ask for smaller chunks or shards: a task holds whole write units.",
    ),
    page(
        ErrorCode::DESTINATION_EXISTS,
        "Something lies at the destination: a store, which is not replaced unless that is asked for, or something that is no store, which is never replaced.",
        "Write somewhere else, or use --overwrite for a Zarr store; --append goes on with one.",
    ),
    page(
        ErrorCode::UNKNOWN_DIMENSION,
        "A flag or a recipe names a dimension that the files do not have.",
        "The error lists those that there are; `levain inspect FILE` shows them.",
    ),
    page(
        ErrorCode::UNKNOWN_VARIABLE,
        "A flag or a recipe names a variable that the files do not have, or one that lies in a group.",
        "The error lists those that there are; one of a group is GROUP/NAME. `levain inspect FILE` shows them.",
    ),
    page(
        ErrorCode::INVALID_CHUNKS,
        "A chunk or shard is asked for that cannot be: a length of zero, shards that are no multiples of chunks, a size that is none.",
        "Write --chunks DIM=N,...; shards are multiples of the chunks. -1 is the whole dimension.",
    ),
    page(
        ErrorCode::NOTHING_MATCHES,
        "A pattern or a folder has no file that could be baked.",
        "Look where it points to; quote patterns, so that they reach levain and not the shell.",
    ),
    page(
        ErrorCode::NO_RESULT,
        "A result of a pipeline is read that the run was not asked to keep.",
        "Call `.collect()` on the collection before the run.",
    ),
    page(
        ErrorCode::VIEW_MISMATCH,
        "A collection was made a singleton view and has no element, or several; or a map view has a key twice.",
        "Combine it to one element first, or use an iterable or multimap view.",
    ),
    page(
        ErrorCode::FINGERPRINT,
        "A worker was built from another pipeline than its driver: what it would write is not what was planned.",
        "Build both from the same source, and pass the same arguments.",
    ),
    page(
        ErrorCode::WINDOWS_DIFFER,
        "Collections of different windows are flattened or joined, or what reads them needs other windows.",
        "Window both alike before: `WindowInto`.",
    ),
    page(
        ErrorCode::TIME_OUT_OF_BOUNDS,
        "An event time lies before or after what an event time can be, or before that of the element it was made of.",
        "Make sure of the unit, which is milliseconds; allow what is late with the skew of the DoFn.",
    ),
    page(
        ErrorCode::CANNOT_READ,
        "An input is there and cannot be read: a folder where a file should be, a source that is given up half-way, or one that has changed since it was scanned.",
        "Read it with `levain inspect`. If it changed, run the same command again: it is scanned anew.",
    ),
    page(
        ErrorCode::CORRUPT,
        "Bytes of an input do not mean what they should: it is cut short, damaged, or what lies at its offsets is something else.",
        "Fetch the file again and compare lengths. `--keep-going` bakes the others and names this one.",
    ),
    page(
        ErrorCode::UNKNOWN_FORMAT,
        "The first bytes are those of no format that is known here.",
        "NetCDF (classic, 64-bit, CDF-5, 4), HDF5, GRIB 1 and 2, Zarr v2 and v3, CSV and Parquet are read; see whether an error page was saved under this name.",
    ),
    page(
        ErrorCode::UNSUPPORTED_FEATURE,
        "The input is sound, and uses something of its format that is not read, or a combination that is not written.",
        "The error names the feature, and often the option that does without it. --vars leaves out the variable that needs it.",
    ),
    page(
        ErrorCode::GRIDS_DIFFER,
        "Files that should lie along one dimension have other lengths, values or dimensions along the others.",
        "Bake those of one grid by themselves, or cut them with [[steps]] of a recipe. `levain inspect` shows both.",
    ),
    page(
        ErrorCode::TIMES_DIFFER,
        "Files have calendars or units of time that cannot be expressed in each other without change.",
        "Bake those of one calendar by themselves; units alone are converted.",
    ),
    page(
        ErrorCode::PACKINGS_DIFFER,
        "Files pack a variable with different scale, offset or type, and the policy is to refuse that.",
        "Use --packing decode (values are unpacked) or --packing repack.",
    ),
    page(
        ErrorCode::VARIABLE_MISSING,
        "Some files lack a variable that others have.",
        "Use --missing-vars union (it is filled there) or intersection (it is left out), or name what is wanted with --vars.",
    ),
    page(
        ErrorCode::NOT_ASCENDING,
        "Files overlap, repeat each other or run backwards along the dimension; or one source is given twice.",
        "The error names both files. --overlap says which elements count; leave out what is double.",
    ),
    page(
        ErrorCode::STATIC_DIFFERS,
        "A variable without the dimension along which files follow each other should be the same in all of them, and is not.",
        "Use --static first, close:1e-9 or concat, or leave it out with --vars.",
    ),
    page(
        ErrorCode::NOT_REPRESENTABLE,
        "A value has no place in the type, the packing or the calendar in which it is to be written; it would be changed silently.",
        "Choose a wider type or another packing with --encoding, or unpack with --packing decode.",
    ),
    page(
        ErrorCode::CODER,
        "Bytes between two steps do not decode to the element type: the coder of a type of a recipe does not read what it writes.",
        "Test that coder: what it encodes must decode to an equal element.",
    ),
    page(
        ErrorCode::ATTRIBUTES_DIFFER,
        "Attributes are not the same in all files, and the policy is to refuse that.",
        "Use --attrs drop-conflicts or first.",
    ),
    page(
        ErrorCode::NOT_REFERABLE,
        "References are written (--as kerchunk), and this chunk does not lie in its file as a reader of references could read it: filters, packing or byte ranges that it has no words for.",
        "Write a store of copies instead (leave --as out), or leave the variable out.",
    ),
    page(
        ErrorCode::USER_ERROR,
        "A function of the recipe returned an error.",
        "Its message comes first; step, line of the recipe and element say where.",
    ),
    page(
        ErrorCode::USER_PANIC,
        "A function of the recipe panicked; it was caught at the edge of its bundle.",
        "Its message comes first; step, line of the recipe and element say where. Return an error where an element may be wrong.",
    ),
    page(
        ErrorCode::ASSERTION,
        "A test of a pipeline asserts what does not hold.",
        "The error shows the difference between what was expected and what there is.",
    ),
    page(
        ErrorCode::STORE_FAILED,
        "A file system or an object store failed, after the attempts that are worth it: no connection, a server error, throttling that did not end, a disk error.",
        "Look at the network and the endpoint; try fewer requests at once (--max-requests-per-host). With --resume nothing that was committed is written again.",
    ),
    page(
        ErrorCode::STORE_NOT_FOUND,
        "The store has no such object, file, bucket or run.",
        "Look at the spelling and the endpoint (store.endpoint); `levain runs` lists runs.",
    ),
    page(
        ErrorCode::STORE_DENIED,
        "The store knows the caller and refuses: permissions of files, or of the role or user.",
        "Ask for the right on this prefix; what is public is read with credentials.\"URL\".anonymous = true in the settings.",
    ),
    page(
        ErrorCode::STORE_FULL,
        "The disk or the quota is full: of the destination, or of the folder for spilled data, which the error names.",
        "Make room, or spill elsewhere with the setting direct.scratch; more memory (--mem) spills less.",
    ),
    page(
        ErrorCode::CANCELLED,
        "The run was asked to stop: by Ctrl-C, a signal, or a limit of time or cost.",
        "With --resume the same command goes on where it ended.",
    ),
    page(
        ErrorCode::LAUNCH_REFUSED,
        "The place where workers run has refused to start them: a queue that is disabled, a definition that is not active, a size that it does not have.",
        "`levain doctor` checks queue, definition and rights, and says what to mend.",
    ),
    page(
        ErrorCode::NOT_STARTING,
        "Workers were asked for and wait for a machine: there is no capacity, no machine is large enough, or machines start and never register.",
        "The error says what AWS gives as the reason, else the likely ones. `levain doctor --hello` follows one job; batch.runnable_fail says how long is waited.",
    ),
    page(
        ErrorCode::WORKERS_LOST,
        "Workers start and end again and again without having committed a task: the image does not run, or something ends them.",
        "`levain batch logs JOB` shows what they said last; `levain doctor --hello` tries the image. What was committed stays.",
    ),
    page(
        ErrorCode::WORKER_MEMORY,
        "Workers were killed for want of memory with the largest size that they may have.",
        "Allow more (batch.memory_ladder, --mem), or make tasks smaller: other chunks or shards, fewer threads a worker.",
    ),
    page(
        ErrorCode::RUN_LIMIT,
        "The run has reached the limit of time or of cost that was set for it, and has stopped its workers.",
        "Raise limits.max_wall, and go on with --resume: what was committed is not written again.",
    ),
    page(
        ErrorCode::LOCKED,
        "Another process is at work on this run or destination; two would write over each other.",
        "Wait for it, or end it. If it was killed, its lease runs out after batch.lease; then run the command again.",
    ),
    page(
        ErrorCode::LAUNCHER_FAILED,
        "The service that runs workers cannot be reached, has answered with an error again and again, or has not understood what was asked.",
        "Look at region and endpoint (batch.region, batch.endpoint) and at the network; run the command again, with --resume.",
    ),
    page(
        ErrorCode::LAUNCHER_DENIED,
        "The service that runs workers knows the caller and does not allow what is asked.",
        "`levain infra policy --for driver` prints the least policy; `levain doctor` names the action that is denied.",
    ),
    page(
        ErrorCode::UNKNOWN_JOB,
        "There is no job, queue or job definition of this name or id; ended jobs are forgotten after some days.",
        "`levain batch jobs` and `levain batch jobdef list` show those that there are; look at region and profile, too.",
    ),
    page(
        ErrorCode::JOB_FAILED,
        "A job that was submitted has failed: its own program, or what should have run it.",
        "`levain batch job ID` says why, `levain batch logs ID` what it said.",
    ),
    page(
        ErrorCode::CONFIGURATION,
        "A setting, a variable of the environment or an option of a store is not what it must be.",
        "The error names file and line, or the variable. `levain config explain KEY` says what it takes, `levain config show --origin` where each was set.",
    ),
    page(
        ErrorCode::CREDENTIALS,
        "Credentials are missing, or were refused or have expired.",
        "The standard chain is used: AWS_* variables, the profile of ~/.aws, the machine. Renew them and run again; credentials.\"URL\".profile chooses another profile for one place.",
    ),
    page(
        ErrorCode::CHUNK_MISSING,
        "A chunk that the metadata or the commits of a run speak of is not in the store.",
        "Bake or rechunk again, or restore the object; the report of the run names the files that feed it.",
    ),
    page(
        ErrorCode::CHUNK_CORRUPT,
        "A chunk does not decode, or is not the one that was written: its length or checksum is another.",
        "Something has written over it or damaged it; bake again. The files that feed it are named.",
    ),
    page(
        ErrorCode::METADATA_BROKEN,
        "The metadata of a store, or the records of a run, are missing, unreadable or contradict themselves.",
        "Restore them from where the store was copied from, or bake again.",
    ),
    page(
        ErrorCode::VALIDATION_FAILED,
        "A check that was asked for (--validate) does not hold; a new store did not become visible.",
        "The findings name array, place and files. `warn:` before a check only records what it finds.",
    ),
    page(
        ErrorCode::ENGINE_BUG,
        "Something that cannot be has happened: a bug in Levain.",
        "Please report it with the command, the version and the whole text.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_page_in_order() {
        let known: Vec<ErrorCode> = ErrorCode::ALL.iter().map(|(code, _)| *code).collect();
        let pages: Vec<ErrorCode> = PAGES.iter().map(|page| page.code).collect();
        assert_eq!(pages, known);
        for page in PAGES {
            assert!(page.why.ends_with('.') && page.why.len() > 40, "{}", page.code);
            assert!(page.mend.ends_with('.') && page.mend.len() > 20, "{}", page.code);
        }
    }
}
