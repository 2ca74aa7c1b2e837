//! `levain image`: the image of workers needs the binary, and the certificates of the web.

use levain::batch::aws::check_image;
use levain::dataflow::error::Result;
use serde_json::json;

use super::args::{DockerfileArgs, ImageCommand};
use crate::cli::out::Out;

/// Runs one of the commands.
pub(crate) fn image(command: &ImageCommand, out: Out) -> Result<()> {
    let ImageCommand::PrintDockerfile(args) = command;
    let text = dockerfile(args)?;
    out.result(&text, &json!({ "v": 1, "dockerfile": text }))
}

fn dockerfile(args: &DockerfileArgs) -> Result<String> {
    let name = args.binary.file_name().unwrap_or(args.binary.as_os_str()).to_string_lossy();
    let source = args.binary.display();
    let program = format!("COPY {source} /usr/local/bin/{name}\n");
    let entry = match args.beam {
        true => format!("ENTRYPOINT [\"/usr/local/bin/{name}\"]\n"),
        false => String::new(),
    };
    if args.base != "scratch" {
        check_image(&args.base).map_err(|error| error.at("flag", "--base"))?;
        return Ok(format!(
            "FROM {}\n\
             RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*\n\
             {program}ENV PATH=/usr/local/bin:/usr/bin:/bin\n{entry}",
            args.base
        ));
    }
    Ok(format!(
        "FROM scratch\n\
         COPY --from=debian:stable /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n\
         {program}ENV PATH=/usr/local/bin\n{entry}"
    ))
}
