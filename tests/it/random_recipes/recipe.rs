//! Recipes made by chance, and the files that they bake. Knows nothing of what must come out.

use std::collections::BTreeMap;

use levain::bake::{
    AttributePolicy, BakeOptions, GapPolicy, MissingFilePolicy, OverlapPolicy, PackingPolicy,
    PresencePolicy, StaticPolicy, ZarrVersion,
};
use netcdf_writer::{NcAttrValue, NcWriteFormat};

use super::calendar::Days;
use crate::made::{Made, Values, text};

/// Numbers that follow from a seed alone (SplitMix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}

/// How far numbers may lie apart that are the same up to rounding, and how far they do.
const TOLERANCE: f64 = 1e-3;
pub(crate) const ROUNDING: f64 = 1e-6;

pub(crate) const DIMS: [&str; 3] = ["time", "y", "x"];

/// The type of stored elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Byte,
    Short,
    Int,
    Float,
    Double,
}

impl Stored {
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::Byte | Self::Short | Self::Int)
    }

    /// Elements of this type; `numbers` are exact in it.
    fn values(self, numbers: &[f64]) -> Values {
        match self {
            Self::Byte => Values::Bytes(numbers.iter().map(|&it| it as i8).collect()),
            Self::Short => Values::Shorts(numbers.iter().map(|&it| it as i16).collect()),
            Self::Int => Values::Ints(numbers.iter().map(|&it| it as i32).collect()),
            Self::Float => Values::Floats(numbers.iter().map(|&it| it as f32).collect()),
            Self::Double => Values::Doubles(numbers.to_vec()),
        }
    }

    fn attribute(self, number: f64) -> NcAttrValue {
        match self {
            Self::Byte => NcAttrValue::Bytes(vec![number as i8]),
            Self::Short => NcAttrValue::Shorts(vec![number as i16]),
            Self::Int => NcAttrValue::Ints(vec![number as i32]),
            Self::Float => NcAttrValue::Floats(vec![number as f32]),
            Self::Double => NcAttrValue::Doubles(vec![number]),
        }
    }
}

/// How one file stores a variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Packed {
    pub(crate) stored: Stored,
    /// Scale and offset.
    pub(crate) scale: Option<(f64, f64)>,
    pub(crate) fill: Option<f64>,
    fill_name: &'static str,
}

impl Packed {
    fn draw(draw: &mut Draw, fill_name: &'static str) -> Self {
        use Stored::{Byte, Double, Float, Int, Short};
        let stored = draw.pick(&[Byte, Short, Short, Int, Float, Float, Double]);
        let is_scaled = if stored.is_integer() { !draw.one_in(3) } else { draw.one_in(8) };
        let scale = (draw.pick(&[0.5, 0.25, 2.0]), draw.pick(&[0.0, 10.0, -3.0]));
        let fill = draw.pick(&[None, Some(-99.0), Some(-9.0), Some(77.0)]);
        Self { stored, scale: is_scaled.then_some(scale), fill, fill_name }
    }

    /// A stored number, which is not the fill value.
    fn number(&self, draw: &mut Draw) -> f64 {
        let code = draw.below(101) as f64 - 50.0;
        let number = if self.stored.is_integer() { code } else { code / 4.0 };
        if self.fill == Some(number) { number + 1.0 } else { number }
    }

    fn can_miss(&self) -> bool {
        self.fill.is_some() || !self.stored.is_integer()
    }

    /// The value that a stored number means.
    fn unpacked(&self, number: f64) -> f64 {
        self.scale.map_or(number, |(scale, offset)| number * scale + offset)
    }
}

/// A variable as one file has it.
#[derive(Debug, Clone)]
pub(crate) struct InFile {
    pub(crate) packed: Packed,
    /// Its dimensions, by their places in [`DIMS`], as they stand in the file.
    pub(crate) order: Vec<usize>,
    /// What the elements mean, as if dimensions stood in the order of [`DIMS`].
    pub(crate) values: Vec<Option<f64>>,
    numbers: Vec<f64>,
}

impl InFile {
    fn draw(draw: &mut Draw, packed: Packed, order: Vec<usize>, count: usize) -> Self {
        let fill = packed.fill.unwrap_or(f64::NAN);
        let (mut values, mut numbers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let is_missing = packed.can_miss() && draw.one_in(6);
            let number = if is_missing { fill } else { packed.number(draw) };
            values.push((!is_missing).then(|| packed.unpacked(number)));
            numbers.push(number);
        }
        Self { packed, order, values, numbers }
    }
}

/// How a file counts time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) calendar: Days,
    /// What the file says of its calendar.
    calendar_name: Option<&'static str>,
    word: &'static str,
    unit_seconds: i64,
    origin: [i64; 4],
    is_integer: bool,
}

const ORIGINS: [[i64; 4]; 6] = [
    [2000, 1, 1, 0],
    [2000, 1, 2, 6],
    [1999, 3, 1, 0],
    [2000, 2, 28, 12],
    [1970, 1, 1, 0],
    [2001, 1, 1, 18],
];

impl Clock {
    fn draw(draw: &mut Draw, calendar: Days, step_minutes: i64) -> Self {
        let words = [("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)];
        // An hour is no binary fraction of a day.
        let words = if step_minutes % 720 == 0 { &words[..] } else { &words[1..] };
        let (word, unit_seconds) = draw.pick(words);
        let is_whole = 30 * step_minutes % unit_seconds == 0 && unit_seconds < 86_400;
        let is_integer = is_whole && draw.one_in(2);
        let calendar_name = draw.pick(calendar.names());
        let origin = draw.pick(&ORIGINS);
        Self { calendar, calendar_name, word, unit_seconds, origin, is_integer }
    }

    fn variable(&self, made: Made, minutes: &[i64]) -> Made {
        let [year, month, day, hour] = self.origin;
        let origin = self.calendar.since_2000(year, month, day) * 24 * 60 + hour * 60;
        let number = |at: &i64| ((at - origin) * 60) as f64 / self.unit_seconds as f64;
        let numbers: Vec<f64> = minutes.iter().map(number).collect();
        let stored = if self.is_integer { Stored::Int } else { Stored::Double };
        let at = if hour == 0 { String::new() } else { format!(" {hour:02}:00:00") };
        let units = format!("{} since {year:04}-{month:02}-{day:02}{at}", self.word);
        let mut attributes = vec![("units", text(&units))];
        attributes.extend(self.calendar_name.map(|name| ("calendar", text(name))));
        made.variable("time", "time", stored.values(&numbers), &attributes)
    }
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) clock: Clock,
    /// Times, as halves of a step since the start of the recipe.
    pub(crate) steps: Vec<i64>,
    pub(crate) y: Vec<f64>,
    pub(crate) variables: BTreeMap<String, InFile>,
    /// A variable without time.
    pub(crate) fixed: Option<Vec<f64>>,
    pub(crate) history: String,
    pub(crate) note: Option<String>,
    format: NcWriteFormat,
}

/// A recipe: files, and what was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    start_minutes: i64,
    step_minutes: i64,
    pub(crate) files: Vec<File>,
    pub(crate) x: usize,
    /// Whether the variable without time has the dimension `y`.
    pub(crate) is_fixed_of_y: bool,
    is_unlimited: bool,
    /// The place of a source that is not there.
    pub(crate) lost: Option<usize>,
    /// How each file becomes a store first; files are baked themselves if empty.
    pub(crate) stores: Vec<BakeOptions>,
    pub(crate) options: BakeOptions,
}

impl Recipe {
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let step_minutes = draw.pick(&[360, 60, 1440, 720]);
        let start_minutes = (draw.below(800) as i64 - 400) * 1440 + draw.pick(&[0, 360, 720]);
        let options = options(draw);
        let fills = options.fills_gaps() || options.gaps == GapPolicy::Error;
        let mut runs = runs(draw, options.overlap, fills);
        if draw.one_in(10) {
            runs.reverse();
            runs.iter_mut().for_each(|run| run.reverse());
        }
        let is_unlimited = draw.one_in(2);
        if is_unlimited && draw.one_in(12) {
            let place = draw.below(runs.len() + 1);
            runs.insert(place, Vec::new());
        }
        let (y, x) = (1 + draw.below(4), 1 + draw.below(3));
        let mut files = files(draw, step_minutes, &runs, y);
        add_variables(draw, &mut files, x, is_unlimited);
        add_fixed(draw, &mut files, y, &options);
        let is_fixed_of_y = files[0].fixed.as_ref().is_some_and(|it| it.len() > 1 || y == 1);
        let lost = draw.one_in(12).then(|| draw.below(files.len() + 1));
        let has_empty = runs.iter().any(Vec::is_empty);
        let of_stores = !has_empty && draw.one_in(4);
        let stores = if of_stores { files.iter().map(|_| layout(draw)).collect() } else { vec![] };
        Self {
            start_minutes,
            step_minutes,
            files,
            x,
            is_fixed_of_y,
            is_unlimited,
            lost,
            stores,
            options,
        }
    }

    /// So many halves of a step after the start, in minutes from the first of 2000.
    pub(crate) fn minutes(&self, step: i64) -> i64 {
        self.start_minutes + step * self.step_minutes / 2
    }

    /// The file at this place, as NetCDF.
    pub(crate) fn made(&self, place: usize) -> Made {
        let file = &self.files[place];
        let made = Made::new().format(file.format);
        let count = file.steps.len();
        let made = if self.is_unlimited {
            made.unlimited("time")
        } else {
            made.dimension("time", count as u64)
        };
        let minutes: Vec<i64> = file.steps.iter().map(|&step| self.minutes(step)).collect();
        let made = made.dimension("y", file.y.len() as u64).dimension("x", self.x as u64);
        let made = file.clock.variable(made, &minutes);
        let mut made = made
            .variable("y", "y", file.y.clone(), &[("units", text("degrees_north"))])
            .variable("x", "x", (0..self.x as i32).collect::<Vec<i32>>(), &[])
            .attribute("title", text("by chance"))
            .attribute("history", text(&file.history));
        if let Some(note) = &file.note {
            made = made.attribute("note", text(note));
        }
        if let Some(fixed) = &file.fixed {
            let dimensions = if self.is_fixed_of_y { "y" } else { "" };
            made = made.variable("fixed", dimensions, fixed.clone(), &[("units", text("m"))]);
        }
        let lengths = [count, file.y.len(), self.x];
        for (name, variable) in &file.variables {
            let Packed { stored, scale, fill, fill_name } = variable.packed;
            let mut attributes = vec![("units", text("K")), ("comment", text(&file.history))];
            if let Some((scale, offset)) = scale {
                attributes.push(("scale_factor", NcAttrValue::Doubles(vec![scale])));
                attributes.push(("add_offset", NcAttrValue::Doubles(vec![offset])));
            }
            attributes.extend(fill.map(|fill| (fill_name, stored.attribute(fill))));
            let dimensions: Vec<&str> = variable.order.iter().map(|&dim| DIMS[dim]).collect();
            let numbers = turned(&variable.numbers, lengths, &variable.order);
            let dimensions = dimensions.join(" ");
            made = made.variable(name, &dimensions, stored.values(&numbers), &attributes);
        }
        made
    }
}

/// Elements in the order of [`DIMS`], in that of `order` instead.
fn turned(numbers: &[f64], lengths: [usize; 3], order: &[usize]) -> Vec<f64> {
    let mut all = Vec::new();
    let own = |dim: usize| if order.contains(&dim) { lengths[dim] } else { 1 };
    let strides = [own(1) * own(2), own(2), 1];
    let mut place = [0; 3];
    push_turned(numbers, lengths, order, strides, &mut place, &mut all);
    all
}

fn push_turned(
    numbers: &[f64],
    lengths: [usize; 3],
    order: &[usize],
    strides: [usize; 3],
    place: &mut [usize; 3],
    all: &mut Vec<f64>,
) {
    let Some((&dim, rest)) = order.split_first() else {
        all.push(numbers[(0..3).map(|dim| place[dim] * strides[dim]).sum::<usize>()]);
        return;
    };
    for at in 0..lengths[dim] {
        place[dim] = at;
        push_turned(numbers, lengths, rest, strides, place, all);
    }
    place[dim] = 0;
}

/// Chunks, shards, format and codec.
fn layout(draw: &mut Draw) -> BakeOptions {
    let mut options = BakeOptions::default();
    let lengths: Vec<usize> = (0..3).map(|_| 1 + draw.below(4)).collect();
    let lay = |times: [usize; 3]| {
        let length = |dim: usize| format!("{}={}", DIMS[dim], lengths[dim] * times[dim]);
        let all: Vec<String> = (0..3).map(length).collect();
        all.join(",").parse().expect("lengths")
    };
    options.zarr_format = draw.pick(&[ZarrVersion::V2, ZarrVersion::V3]);
    options.codec = draw.pick(&["none", "gzip:1", "zstd:1", "blosc-zstd:1"]).to_owned();
    match draw.below(4) {
        0 => {}
        1 => options.chunks = format!("time={},x=-1", lengths[0]).parse().expect("lengths"),
        _ => options.chunks = lay([1; 3]),
    }
    if options.zarr_format == ZarrVersion::V3 && draw.one_in(2) {
        options.chunks = lay([1; 3]);
        options.shards = lay([1 + draw.below(3), 1 + draw.below(2), 1 + draw.below(2)]);
    }
    options
}

/// What is asked for; most often what decides, for else most recipes would be refused.
fn options(draw: &mut Draw) -> BakeOptions {
    use OverlapPolicy::{KeepFirst, KeepLast, Sort};
    use PackingPolicy::{Decode, Repack};
    let presence = [
        PresencePolicy::Error,
        PresencePolicy::Union,
        PresencePolicy::Union,
        PresencePolicy::Intersection,
    ];
    let attributes = [
        AttributePolicy::DropConflicts,
        AttributePolicy::DropConflicts,
        AttributePolicy::First,
        AttributePolicy::List,
        AttributePolicy::Coverage,
        AttributePolicy::Error,
    ];
    let gaps = [GapPolicy::Report, GapPolicy::Report, GapPolicy::Fill, GapPolicy::Error];
    let statics = [
        StaticPolicy::Identical,
        StaticPolicy::First,
        StaticPolicy::Concat,
        StaticPolicy::Close(TOLERANCE),
    ];
    let lost = [MissingFilePolicy::Error, MissingFilePolicy::Skip, MissingFilePolicy::Fill];
    BakeOptions {
        concat: draw.one_in(2).then(|| "time".to_owned()),
        statics: draw.pick(&statics),
        missing_files: draw.pick(&lost),
        presence: draw.pick(&presence),
        packing: draw.pick(&[Decode, Decode, Repack, PackingPolicy::Error]),
        attributes: draw.pick(&attributes),
        overlap: draw.pick(&[OverlapPolicy::Error, Sort, KeepFirst, KeepLast]),
        gaps: draw.pick(&gaps),
        ..layout(draw)
    }
}

/// The steps of each file: most often as the policy wants them.
fn runs(draw: &mut Draw, overlap: OverlapPolicy, needs_steps: bool) -> Vec<Vec<i64>> {
    let least = if needs_steps { 2 } else { 1 };
    let count = 1 + draw.below(4);
    let may_overlap = match overlap {
        OverlapPolicy::KeepFirst | OverlapPolicy::KeepLast => draw.one_in(2),
        OverlapPolicy::Error | OverlapPolicy::Sort => draw.one_in(8),
    };
    let has_gaps = draw.one_in(3);
    let mut next = 0i64;
    let mut runs = Vec::new();
    for _ in 0..count {
        let length = (least + draw.below(4)) as i64;
        runs.push((next..next + length).collect::<Vec<i64>>());
        next += length;
        if may_overlap && draw.one_in(2) {
            next -= 1 + draw.below(length as usize) as i64;
        } else if has_gaps && draw.one_in(2) {
            next += 1 + draw.below(3) as i64;
        }
    }
    let is_mixed = if overlap == OverlapPolicy::Error { draw.one_in(8) } else { draw.one_in(2) };
    runs.iter_mut().flatten().for_each(|step| *step *= 2);
    if is_mixed {
        draw.shuffle(&mut runs);
    } else if overlap == OverlapPolicy::Error && draw.one_in(6) {
        // From here on, files stand half a step later.
        let from = draw.below(runs.len());
        runs[from..].iter_mut().flatten().for_each(|step| *step += 1);
    }
    runs
}

/// Files of these steps, without variables.
fn files(draw: &mut Draw, step_minutes: i64, runs: &[Vec<i64>], y: usize) -> Vec<File> {
    let calendar = draw.pick(&Days::ALL);
    let (is_one_clock, is_one_history) = (draw.one_in(3), draw.one_in(2));
    let common = Clock::draw(draw, calendar, step_minutes);
    let has_note = draw.one_in(3);
    let mut files = Vec::new();
    for (place, steps) in runs.iter().enumerate() {
        use NcWriteFormat::{Cdf5, Classic, Offset64};
        let history = if is_one_history { 0 } else { draw.below(3) };
        files.push(File {
            clock: if is_one_clock { common } else { Clock::draw(draw, calendar, step_minutes) },
            steps: steps.clone(),
            y: (0..y).map(|it| 10.0 * it as f64).collect(),
            variables: BTreeMap::new(),
            fixed: None,
            history: format!("made {history}"),
            note: (has_note && (place == 0 || draw.one_in(2))).then(|| "seen".to_owned()),
            format: draw.pick(&[Classic, Offset64, Cdf5]),
        });
    }
    let last = files.len() - 1;
    if last > 0 && draw.one_in(20) {
        files[last].clock = Clock::draw(draw, calendar.another(), step_minutes);
    }
    if last > 0 && draw.one_in(16) {
        files[last].y[0] = draw.pick(&[-1.0, ROUNDING, ROUNDING]);
    }
    files
}

/// Variables with time, which some files lack, or have in another order or packing.
fn add_variables(draw: &mut Draw, files: &mut [File], x: usize, is_unlimited: bool) {
    for place in 0..1 + draw.below(3) {
        let dims = draw.pick(&[vec![0], vec![0, 1], vec![0, 1, 2], vec![0, 1, 2], vec![0, 2]]);
        let fill_name = draw.pick(&["_FillValue", "missing_value"]);
        let common = Packed::draw(draw, fill_name);
        let is_one_packing = !draw.one_in(3);
        let (may_lack, may_turn) = (place > 0 && draw.one_in(3), draw.one_in(4));
        for file in files.iter_mut() {
            if may_lack && draw.one_in(3) {
                continue;
            }
            let packed = if is_one_packing { common } else { Packed::draw(draw, fill_name) };
            let mut order = dims.clone();
            if may_turn {
                // Records come first.
                draw.shuffle(&mut order[usize::from(is_unlimited)..]);
            }
            let lengths = [file.steps.len(), file.y.len(), x];
            let count = dims.iter().map(|&dim| lengths[dim]).product();
            let variable = InFile::draw(draw, packed, order, count);
            file.variables.insert(format!("v{place}"), variable);
        }
    }
    let is_in_one = |name: &str| files.iter().any(|it| it.variables.contains_key(name));
    assert!(is_in_one("v0"), "the first variable is in every file");
}

/// A variable without time, which files may not have alike.
fn add_fixed(draw: &mut Draw, files: &mut [File], y: usize, options: &BakeOptions) {
    if !draw.one_in(2) || files.iter().any(|it| it.steps.is_empty()) {
        return;
    }
    let count = if draw.one_in(2) { y } else { 1 };
    let (may_differ, may_lack) = (draw.one_in(3), draw.one_in(4));
    let apart = draw.pick(&[100.0, ROUNDING]);
    for (place, file) in files.iter_mut().enumerate() {
        // What a file without the variable has for its elements is not asked here.
        let lacks = may_lack && place > 0 && options.statics != StaticPolicy::Concat;
        if lacks && draw.one_in(3) {
            continue;
        }
        let first = if may_differ { draw.below(2) as f64 * apart } else { 0.0 };
        file.fixed = Some((0..count).map(|it| first + it as f64).collect());
    }
}
