//! Settings as the parts of the house that use them understand them.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use levain::batch::CostLimit;
use levain::chunks::ByteSize;
use levain::dataflow::error::Result;
use levain::dataflow::options::{OnError, Retries};
use levain::objects::{Location, StoreOptions, StorePlace};
use levain::report::Prices;
use serde_json::{Map, Value as Json};

use super::file::refuse;
use super::kind::Value;
use super::layers::Config;
use super::schema::path_text;

impl Config {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Count(count) => u64::try_from(*count).ok(),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    pub(crate) fn size(&self, name: &str) -> Option<ByteSize> {
        match self.value(name)? {
            Value::Size(bytes) => Some(ByteSize(*bytes)),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.value(name)? {
            Value::DurationMs(ms) => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }

    /// The threads of a job in this process; nothing for all cores.
    pub(crate) fn threads(&self) -> Option<NonZeroUsize> {
        let count = usize::try_from(self.count("direct.threads")?).ok()?;
        NonZeroUsize::new(count)
    }

    /// The folder for spilled data.
    pub(crate) fn scratch(&self) -> Option<PathBuf> {
        self.text("direct.scratch").map(PathBuf::from)
    }

    /// Where runs are kept, if it is not beside destinations.
    ///
    /// # Errors
    /// A text that is no location.
    pub(crate) fn run_store(&self) -> Result<Option<Location>> {
        let url = self.text("store.url").map(Location::parse).transpose();
        url.map_err(|error| error.at("setting", "store.url"))
    }

    /// What a failure does.
    pub(crate) fn on_error(&self) -> OnError {
        match self.text("run.on_error") {
            Some("finish") => OnError::Finish,
            Some("continue") => OnError::Continue,
            Some("quarantine") => {
                OnError::Quarantine { limit: self.count("run.max_failures").unwrap_or(0) }
            }
            _ => OnError::Stop,
        }
    }

    /// How often is tried again what fails in passing.
    pub(crate) fn retries(&self) -> Retries {
        let count = |value: &Value| match value {
            Value::Count(count) => u32::try_from(*count).ok(),
            _ => None,
        };
        let steps = self.of_steps("retries");
        let steps = steps.filter_map(|(step, value)| Some((step.to_owned(), count(value)?)));
        let whole = self.value("run.retries").and_then(count).unwrap_or(Retries::DEFAULT);
        Retries { count: whole, steps: steps.collect() }
    }

    /// Steps that are to run in some place: their names, and that place.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.of_steps("place").filter_map(|(step, value)| match value {
            Value::Text(place) => Some((step, place.as_str())),
            _ => None,
        })
    }

    /// A setting of steps, wherever it is set.
    fn of_steps<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.settings().filter_map(move |setting| match setting.path.as_slice() {
            [table, step, own] if table == "steps" && own == word => {
                Some((step.as_str(), setting.value.as_ref()?))
            }
            _ => None,
        })
    }

    /// What a run may cost, and what resources cost; nothing without a limit.
    ///
    /// # Errors
    /// A limit without any price.
    pub(crate) fn cost_limit(&self) -> Result<Option<CostLimit>> {
        let Some(most) = self.number("limits.max_cost") else { return Ok(None) };
        let Some(prices) = self.prices() else {
            let message = "limits.max_cost is set, and no price is".to_owned();
            let error = refuse(message, "set prices.vcpu_hour and the like, or no limit");
            return Err(error.at("setting", "limits.max_cost"));
        };
        Ok(Some(CostLimit {
            most,
            vcpu_hour: prices.vcpu_hour.unwrap_or(0.0),
            gib_hour: prices.gib_hour.unwrap_or(0.0),
            put_1k: prices.put_1k.unwrap_or(0.0),
            get_1k: prices.get_1k.unwrap_or(0.0),
        }))
    }

    /// Sets how stores are reached; what is set already stays.
    ///
    /// # Errors
    /// A service without TLS that is not on this machine, unless that is allowed.
    pub(crate) fn set_store(&self, store: &mut StoreOptions) -> Result<()> {
        if let (None, Some(endpoint)) = (&store.endpoint, self.text("store.endpoint")) {
            self.check_endpoint(endpoint)?;
            *store = std::mem::take(store).with_endpoint(endpoint);
        }
        if store.region.is_none() {
            store.region = self.text("store.region").map(str::to_owned);
        }
        for setting in self.settings() {
            let [table, prefix, word] = setting.path.as_slice() else { continue };
            let Some(value) = setting.value.as_ref().filter(|_| table == "credentials") else {
                continue;
            };
            let known = store.places.iter().position(|place| place.prefix == *prefix);
            let index = known.unwrap_or(store.places.len());
            if known.is_none() {
                store.places.push(StorePlace { prefix: prefix.clone(), ..StorePlace::default() });
            }
            match (word.as_str(), value) {
                ("profile", Value::Text(_)) if !prefix.starts_with("s3://") => {
                    let message = "a profile of ~/.aws is set for what is no bucket of S3";
                    let error = refuse(message.to_owned(), "write its URL as s3://BUCKET/");
                    return Err(error.at("setting", path_text(&setting.path)));
                }
                ("profile", Value::Text(profile)) => {
                    store.places[index].profile = Some(profile.clone());
                }
                ("anonymous", Value::Flag(flag)) => store.places[index].is_anonymous = *flag,
                _ => {}
            }
        }
        Ok(())
    }

    fn check_endpoint(&self, endpoint: &str) -> Result<()> {
        let Some(rest) = endpoint.strip_prefix("http://") else { return Ok(()) };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
        if is_loopback || self.is_on("store.allow_http") {
            return Ok(());
        }
        let message = "the endpoint has no TLS and is not on this machine".to_owned();
        let error = refuse(message, "write https://, or set store.allow_http = true");
        Err(error.at("setting", "store.endpoint").at("endpoint", endpoint))
    }

    /// The settings of a table that are set, as JSON: sizes and times are texts with their units, a
    /// table within is an object.
    pub(crate) fn table_json(&self, table: &str) -> Json {
        let mut object = Map::new();
        for setting in self.settings() {
            let Some(value) = setting.value.as_ref().map(Value::json) else { continue };
            match setting.path.as_slice() {
                [own, name] if own == table => drop(object.insert(name.clone(), value)),
                [own, name, word] if own == table => {
                    let below =
                        object.entry(name.clone()).or_insert_with(|| Json::Object(Map::new()));
                    if let Some(below) = below.as_object_mut() {
                        below.insert(word.clone(), value);
                    }
                }
                _ => {}
            }
        }
        Json::Object(object)
    }

    /// What resources cost, if any price is set.
    pub(crate) fn prices(&self) -> Option<Prices> {
        let prices = Prices {
            vcpu_hour: self.number("prices.vcpu_hour"),
            gib_hour: self.number("prices.gib_hour"),
            put_1k: self.number("prices.s3_put_1k"),
            get_1k: self.number("prices.s3_get_1k"),
        };
        (prices != Prices::default()).then_some(prices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::layers::ConfigArgs;

    #[test]
    fn a_table_is_json_with_units_and_without_what_is_not_set() {
        let set = [
            "batch.queue=spot,od",
            "batch.workers=4",
            "batch.memory_ladder=4GiB,8 GiB",
            "batch.idle=90s",
            "batch.tags.team=grid",
        ];
        let set = set.map(str::to_owned).to_vec();
        let config = Config::of_flags(&ConfigArgs { set, ..ConfigArgs::default() });
        let batch = config.expect("settings").table_json("batch");
        assert_eq!(batch["queue"], serde_json::json!(["spot", "od"]));
        assert_eq!(batch["memory_ladder"], serde_json::json!(["4 GiB", "8 GiB"]));
        assert_eq!((&batch["workers"], &batch["idle"]), (&4.into(), &"90s".into()));
        assert_eq!(batch["tags"], serde_json::json!({ "team": "grid" }));
        assert_eq!((&batch["lease"], batch.get("image")), (&"1h".into(), None));
    }
}
