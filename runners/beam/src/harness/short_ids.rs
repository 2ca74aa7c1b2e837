//! Short ids of metrics: some runners want values under these, and ask once what each means.

use std::collections::BTreeMap;

use crate::proto::pipeline::MonitoringInfo;

/// What makes a metric: its kind and its labels.
type Name = (String, BTreeMap<String, String>);

/// The metrics that a worker has named, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct ShortIds {
    ids: BTreeMap<Name, usize>,
    infos: Vec<MonitoringInfo>,
}

impl ShortIds {
    /// The values of metrics by their ids; what was never named gets an id.
    pub(super) fn values(&mut self, infos: &[MonitoringInfo]) -> BTreeMap<String, Vec<u8>> {
        let Self { ids, infos: named } = self;
        let values = infos.iter().map(|info| {
            let name = (info.urn.clone(), info.labels.clone());
            let id = ids.entry(name).or_insert_with(|| {
                named.push(MonitoringInfo { payload: Vec::new(), ..info.clone() });
                named.len() - 1
            });
            (id.to_string(), info.payload.clone())
        });
        values.collect()
    }

    /// The metrics of these ids, without values; ids that were never given are passed over.
    pub(super) fn named(&self, ids: &[String]) -> BTreeMap<String, MonitoringInfo> {
        let named = ids.iter().filter_map(|id| {
            let info = self.infos.get(id.parse::<usize>().ok()?)?;
            Some((id.clone(), info.clone()))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, payload: u8) -> MonitoringInfo {
        let labels = BTreeMap::from([("NAME".to_owned(), name.to_owned())]);
        MonitoringInfo {
            urn: "sum".to_owned(),
            r#type: "int".to_owned(),
            payload: vec![payload],
            labels,
        }
    }

    #[test]
    fn a_metric_keeps_its_id() {
        let mut ids = ShortIds::default();
        let first = ids.values(&[info("a", 1), info("b", 2)]);
        let again = ids.values(&[info("b", 3), info("c", 4)]);
        assert_eq!(first, BTreeMap::from([("0".to_owned(), vec![1]), ("1".to_owned(), vec![2])]));
        assert_eq!(again, BTreeMap::from([("1".to_owned(), vec![3]), ("2".to_owned(), vec![4])]));
        let named = ids.named(&["1".to_owned(), "7".to_owned(), "x".to_owned()]);
        let b = MonitoringInfo { payload: Vec::new(), ..info("b", 0) };
        assert_eq!(named, BTreeMap::from([("1".to_owned(), b)]));
    }
}
