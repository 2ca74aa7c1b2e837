//! The tables `[encoding.VAR]` of a recipe: how single variables are encoded.

use std::collections::BTreeMap;

use ::bake::VariableEncoding;
use dataflow::error::Result;
use serde::Deserialize;

use crate::job::recipe::Lengths;

/// What a recipe says of one variable.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct EncodingTable {
    codecs: Option<Codecs>,
    chunks: Option<Lengths>,
    shards: Option<Lengths>,
}

/// Codecs as a text, `shuffle+zlib:5`, or as a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Codecs {
    Text(String),
    List(Vec<Codec>),
}

/// A codec as a text, `zlib:5`, or as a table, `{ name = "zlib", level = 5 }`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Codec {
    Text(String),
    Table {
        name: String,
        #[serde(flatten)]
        parameters: BTreeMap<String, Parameter>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Parameter {
    Int(i64),
    Float(f64),
    Flag(bool),
    Word(String),
    List(Vec<i64>),
}

impl EncodingTable {
    /// What is asked for.
    ///
    /// # Errors
    /// Lengths that are none. Codecs are looked at when the store is planned.
    pub(super) fn encoding(self) -> Result<VariableEncoding> {
        let lengths = |it: Option<Lengths>| it.map(|it| it.text().parse()).transpose();
        Ok(VariableEncoding {
            codecs: self.codecs.map(|it| it.text()),
            chunks: lengths(self.chunks)?,
            shards: lengths(self.shards)?,
        })
    }
}

impl Codecs {
    /// The codecs as the command line has them.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(list) if list.is_empty() => "none".to_owned(),
            Self::List(list) => list.iter().map(Codec::text).collect::<Vec<_>>().join("+"),
        }
    }
}

impl Codec {
    fn text(&self) -> String {
        let (name, parameters) = match self {
            Self::Text(text) => return text.clone(),
            Self::Table { name, parameters } => (name, parameters),
        };
        let parameters = parameters.iter().map(|(name, value)| {
            let value = match value {
                Parameter::Int(int) => int.to_string(),
                Parameter::Float(float) => float.to_string(),
                Parameter::Flag(flag) => flag.to_string(),
                Parameter::Word(word) => word.clone(),
                Parameter::List(list) => {
                    list.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
                }
            };
            format!(":{name}={value}")
        });
        format!("{name}{}", parameters.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::job::recipe::Recipe;

    fn recipe(text: &str) -> dataflow::error::Result<Recipe> {
        Recipe::parse(&format!("sources = 'a'\ndestination = 'b'\n{text}"), Path::new(""))
    }

    #[test]
    fn a_variable_has_codecs_and_lengths_of_its_own() {
        let text = r#"
            codec = ["shuffle", "zlib:5"]
            [encoding.t]
            codecs = [{ name = "fixedscaleoffset", scale = 10, offset = 0.5, astype = "int16" }, "lz4"]
            chunks = { time = 5 }
            [encoding."lat lon"]
            codecs = "transpose:1,0+zstd"
            shards = "time=10"
        "#;
        let options = recipe(text).expect("a recipe").options;
        assert_eq!(options.codec, "shuffle+zlib:5");
        let codecs = |name: &str| options.encodings[name].codecs.clone().unwrap_or_default();
        assert_eq!(codecs("t"), "fixedscaleoffset:astype=int16:offset=0.5:scale=10+lz4");
        assert!(codecs("t").parse::<zarr::CodecChain>().is_ok());
        assert_eq!(codecs("lat lon"), "transpose:1,0+zstd");
        assert_eq!(options.encodings["t"].chunks, "time=5".parse().ok());
        assert_eq!(options.encodings["lat lon"].shards, "time=10".parse().ok());
    }

    #[test]
    fn a_key_that_is_misspelled_is_refused_with_the_nearest() {
        let error = recipe("[encoding.t]\ncodec = 'zstd'\n").expect_err("no key").to_string();
        assert!(error.contains("did you mean `codecs`?") && error.contains("line"), "{error}");
    }
}
