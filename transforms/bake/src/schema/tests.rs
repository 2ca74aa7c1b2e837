use array::{AttributeValue, Attributes, DType, Dataset, Dimension, Scalar, Storage, Variable};
use cf::{Calendar, Instants, TimeSpan};
use dataflow::coder::{Coder as _, Context};
use dataflow::element::Element as _;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::open::SourceVersion;

/// What one file is made of; the numbers choose among few values, so that files agree and differ.
#[derive(Debug, Clone)]
struct MadeFile {
    length: u64,
    dtype: DType,
    units: &'static str,
    calendar: Calendar,
    has_bounds: bool,
    /// Times of the coordinate; none if they were not read.
    instants: Option<Vec<i128>>,
    digest: Option<u128>,
    fill: Option<i8>,
    note: Option<&'static str>,
    order: Vec<usize>,
    encoded_ratio: f64,
}

fn made_file() -> impl Strategy<Value = MadeFile> {
    let units =
        prop_oneof![Just("days since 2000-01-01"), Just("hours since 2000-01-01"), Just("K")];
    let calendar = prop_oneof![4 => Just(Calendar::NoLeap), 1 => Just(Calendar::Days360), 1 => Just(Calendar::Julian)];
    // The least and the greatest instants that there are.
    let limit = i128::from(i64::MAX) * 1000;
    let instant = prop_oneof![-limit..=limit, Just(limit), Just(-limit), 0..9i128];
    let digest = prop_oneof![Just(u128::MAX), Just(0), any::<u128>()];
    let header = (1u64..4, prop_oneof![Just(DType::Int8), Just(DType::Float64)], units, calendar);
    let values = (
        proptest::option::weighted(0.9, vec(instant, 0..4)),
        proptest::option::weighted(0.9, digest),
        proptest::option::of(0i8..2),
        proptest::option::of(prop_oneof![Just("a"), Just("b")]),
    );
    let rest = (any::<bool>(), Just(vec![0, 1, 2]).prop_shuffle(), 0.0..1.0f64);
    (header, values, rest).prop_map(|(header, values, rest)| {
        let (length, dtype, units, calendar) = header;
        let (instants, digest, fill, note) = values;
        let (has_bounds, order, encoded_ratio) = rest;
        MadeFile {
            length,
            dtype,
            units,
            calendar,
            has_bounds,
            instants,
            digest,
            fill,
            note,
            order,
            encoded_ratio,
        }
    })
}

fn variable(name: &str, dimensions: &[&str], dtype: DType, shape: Vec<u64>) -> Variable {
    Variable {
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|&name| name.to_owned()).collect(),
        shape,
        dtype,
        fill: None,
        attributes: Attributes::default(),
        storage: Storage::default(),
    }
}

impl MadeFile {
    fn schema(&self, place: FilePlace) -> Schema {
        let dimension =
            |name: &str, length| Dimension { name: name.to_owned(), length, is_unlimited: false };
        let mut time = variable("time", &["time"], DType::Float64, vec![1]);
        time.attributes.set("units", self.units);
        time.attributes.set("calendar", self.calendar.name());
        if self.has_bounds {
            time.attributes.set("bounds", "bnds");
        }
        let bounds = variable("bnds", &["time", "nv"], DType::Float64, vec![1, 2]);
        let mut values = variable("v", &["x", "nv"], self.dtype, vec![self.length, 2]);
        if let Some(fill) = self.fill {
            values.fill = Some(Scalar::of(fill));
            values.attributes.set("_FillValue", AttributeValue::Numbers(vec![Scalar::of(fill)]));
        }
        values.attributes.set("scale_factor", if self.length == 3 { "x" } else { "1" });
        let all = [time, bounds, values];
        let mut dataset = Dataset {
            dimensions: vec![dimension("time", 1), dimension("nv", 2), dimension("x", self.length)],
            variables: self.order.iter().map(|&place| all[place].clone()).collect(),
            ..Dataset::default()
        };
        if let Some(note) = self.note {
            dataset.attributes.set("note", note);
            dataset.attributes.set("time_coverage_end", note);
            dataset.attributes.set("geospatial_lat_min", Scalar::of(self.length as f64));
            dataset.warnings.push(note.to_owned());
            dataset.groups.push(note.to_owned());
        }
        let instants = self.instants.as_ref().map(|instants| {
            let present = instants.iter().copied().map(Some).collect();
            Instants::new(self.calendar, present).expect("near")
        });
        let span = instants.as_ref().map(TimeSpan::of);
        let found = |digest: Option<u128>, span| {
            let values = digest.map(|it| vec![it as f64, -1.0]);
            let tile = digest.map(|it| (self.length as u32, it));
            VariableFindings {
                digest,
                tile,
                tile_values: values.clone(),
                rows: tile.map(|(tile, _)| vec![tile.into(); 3]),
                values,
                span,
                encoded_ratio: self.encoded_ratio,
                encoding: None,
                coordinate: digest
                    .and_then(|it| AxisSummary::of_numbers([it as f64, -1.0].into_iter(), true)),
            }
        };
        let findings = [
            ("time".to_owned(), found(None, span.clone())),
            ("bnds".to_owned(), found(None, span)),
            ("v".to_owned(), found(self.digest, None)),
        ];
        let summary = FileSummary {
            location: format!("{place}.nc"),
            version: SourceVersion { size_bytes: self.length, modified_ms: -1, looked_at_ms: 0 },
            concat_length: 1,
            axis: instants.as_ref().and_then(|it| AxisSummary::of_instants(it, true)),
            further: vec![FurtherAxis { length: self.length, axis: None }],
        };
        Schema::of_file(place, summary, &dataset, &["time".to_owned()], &findings.into())
            .with_listed(place)
            .with_unknown(self.note.iter().map(|note| (1, (*note).to_owned())).collect())
    }
}

proptest! {
    #[test]
    fn schemas_merge_to_the_same_in_any_split_and_order(
        files in vec(made_file(), 1..7),
        picks in vec((any::<usize>(), any::<usize>()), 6),
    ) {
        let schemas: Vec<Schema> = (0..).zip(&files).map(|(place, file)| file.schema(place)).collect();
        let mut in_order = Schema::default();
        schemas.iter().for_each(|schema| in_order.merge(schema.clone()));
        let mut parts = schemas;
        for (into, other) in picks {
            if parts.len() > 1 {
                let other = parts.remove(other % parts.len());
                let into = into % parts.len();
                parts[into].merge(other);
            }
        }
        prop_assert_eq!(parts.len(), 1);
        prop_assert_eq!(&parts[0], &in_order);
    }

    #[test]
    fn a_schema_travels_whole(files in vec(made_file(), 1..4)) {
        let mut schema = Schema::default();
        (0..).zip(&files).for_each(|(place, file)| schema.merge(file.schema(place)));
        let coder = Schema::coder();
        for context in [Context::Nested, Context::Outer] {
            let mut bytes = Vec::new();
            coder.encode(&schema, context, &mut bytes).expect("a schema");
            let arrived = coder.decode(context, &mut bytes.as_slice()).expect("the same schema");
            prop_assert_eq!(&arrived, &schema);
        }
    }
}
