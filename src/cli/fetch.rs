//! How sources are fetched, as flags say it.

use std::num::NonZeroUsize;

use clap::Args;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{cache_options, wait_ms};
use levain::objects::{HostSecret, SecretPlace, StoreOptions};

/// How sources are fetched; none of this changes what is written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct FetchArgs {
    /// Requests in flight at once to one host [default: 16 to a web server, 64 to a cloud]
    #[arg(long, value_name = "N", env = "LEVAIN_MAX_REQUESTS_PER_HOST")]
    max_requests_per_host: Option<NonZeroUsize>,

    /// Requests that begin in a second to one host, as 5 or 0.5 [default: no limit]
    #[arg(long, value_name = "RATE", env = "LEVAIN_REQUESTS_PER_SECOND")]
    requests_per_second: Option<f64>,

    /// Seconds for which requests are sent again that a host refuses with 429 or 503 [default: 600]
    #[arg(long, value_name = "SECONDS", env = "LEVAIN_MAX_THROTTLE_WAIT")]
    max_throttle_wait: Option<f64>,

    /// A token for a host, by where it is read from: data.example.org=env:TOKEN, or =file:PATH
    #[arg(long, value_name = "HOST=SOURCE")]
    bearer: Vec<String>,

    /// Keeps what is fetched from servers and clouds in this folder or store
    #[arg(long, value_name = "DIR|URL", env = "LEVAIN_CACHE")]
    cache: Option<String>,

    /// What is kept of a file: files (all of it), indexes (its headers) [default: files]
    #[arg(long, value_name = "WHAT", requires = "cache")]
    cache_keeps: Option<String>,

    /// The most bytes of files that a folder keeps [default: no limit]
    #[arg(long, value_name = "SIZE", requires = "cache")]
    cache_size: Option<String>,
}

impl FetchArgs {
    /// Sets what flags say; the rest stays as a recipe has it.
    ///
    /// # Errors
    /// Numbers or words that make no sense.
    pub(crate) fn set(&self, store: &mut StoreOptions) -> Result<()> {
        let limits = &mut store.host_limits;
        limits.max_in_flight = self.max_requests_per_host.or(limits.max_in_flight);
        if let Some(rate) = self.requests_per_second {
            let flagged = limits.with_requests_per_second(rate);
            *limits = flagged.map_err(|error| error.at("flag", "--requests-per-second"))?;
        }
        if let Some(seconds) = self.max_throttle_wait {
            let flagged = wait_ms(seconds);
            limits.throttle_wait_ms =
                flagged.map_err(|error| error.at("flag", "--max-throttle-wait"))?;
        }
        for bearer in &self.bearer {
            store.secrets.push(secret(bearer).map_err(|error| error.at("flag", "--bearer"))?);
        }
        if let Some(place) = &self.cache {
            let (keeps, size) = (self.cache_keeps.as_deref(), self.cache_size.as_deref());
            store.cache = Some(cache_options(place, keeps, size)?);
        }
        Ok(())
    }
}

fn secret(text: &str) -> Result<HostSecret> {
    let Some((host, source)) = text.split_once('=').filter(|(host, _)| !host.is_empty()) else {
        // The text is not shown: somebody may have written the token itself.
        let message = "a token needs a host that it is for";
        let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
        return Err(error.mend("write HOST=env:NAME or HOST=file:PATH"));
    };
    let source = source.parse()?;
    Ok(HostSecret { hosts: vec![host.to_owned()], place: SecretPlace::Bearer, source })
}
