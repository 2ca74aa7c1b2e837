//! Texts and regular expressions.
//!
//! The syntax is that of the crate `regex`: linear in time, without look-around and
//! back-references.

use std::sync::Arc;

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, Error, ErrorCode, ErrorKind, PCollection, PTransform, ParDo, ProcessContext, Result,
};
use regex::Regex;

/// What is done with a text.
#[derive(Debug, Clone)]
enum Action {
    /// Puts out a group of the first match.
    Find { group: usize },
    /// Puts out a group of every match.
    FindAll { group: usize },
    /// Puts out the text with the first match replaced.
    ReplaceFirst { by: Arc<str> },
    /// Puts out the text with every match replaced.
    ReplaceAll { by: Arc<str> },
    /// Puts out what lies between matches.
    Split,
}

#[derive(Debug, Clone)]
struct PatternFn {
    regex: Regex,
    action: Action,
}

impl DoFn for PatternFn {
    type In = String;
    type Out = String;

    fn process(&mut self, text: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        match &self.action {
            Action::Find { group } => {
                let found = self.regex.captures(&text).and_then(|found| found.get(*group));
                found.map_or(Ok(()), |found| ctx.output(found.as_str().to_owned()))
            }
            Action::FindAll { group } => {
                let mut found = self.regex.captures_iter(&text).filter_map(|it| it.get(*group));
                found.try_for_each(|found| ctx.output(found.as_str().to_owned()))
            }
            Action::ReplaceFirst { by } => {
                ctx.output(self.regex.replace(&text, by.as_ref()).into_owned())
            }
            Action::ReplaceAll { by } => {
                ctx.output(self.regex.replace_all(&text, by.as_ref()).into_owned())
            }
            Action::Split => {
                let mut parts = self.regex.split(&text).filter(|part| !part.is_empty());
                parts.try_for_each(|part| ctx.output(part.to_owned()))
            }
        }
    }

    fn facts(&self) -> DoFnFacts {
        let parameters = format!("{:?} {:?}", self.regex.as_str(), self.action);
        DoFnFacts::default().with_parameters(parameters)
    }
}

fn compiled(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|why| {
        invalid(format!("`{pattern}` is no regular expression")).mend(format!("{why}"))
    })
}

fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

fn checked_group(regex: &Regex, group: usize) -> Result<usize> {
    let count = regex.captures_len();
    if group < count {
        return Ok(group);
    }
    let message = format!("`{}` has no group {group}", regex.as_str());
    Err(invalid(message)
        .mend(format!("group 0 is all that matches; the last one is {}", count - 1)))
}

macro_rules! patterns {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone)]
        pub struct $name(PatternFn);

        impl PTransform<PCollection<String>> for $name {
            type Output = PCollection<String>;

            fn expand(self, input: PCollection<String>) -> Self::Output {
                input.apply(ParDo::of(self.0))
            }
        }
    )+};
}

patterns! {
    /// The texts that match as a whole, or a group of them; others are left out.
    ///
    /// ```
    /// # use dataflow::prelude::{Create, Pipeline};
    /// # use basic::RegexMatches;
    /// let lines = Pipeline::new().apply(Create::of(["a=1".to_owned(), "remark".to_owned()]));
    /// let names = lines.apply(RegexMatches::of("([a-z]+)=[0-9]+")?.with_group(1)?);
    /// # Ok::<(), dataflow::error::Error>(())
    /// ```
    RegexMatches;
    /// The first part of each text that matches, or a group of it; texts without one are left out.
    RegexFind;
    /// All parts of each text that match, from left to right, or a group of them.
    RegexFindAll;
    /// Every text with the parts that match replaced: all of them, or the first.
    RegexReplace;
    /// What lies between the parts that match, from left to right, without what is empty.
    RegexSplit;
}

impl RegexMatches {
    /// Texts that match this pattern from their start to their end.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn of(pattern: &str) -> Result<Self> {
        // The pattern is compiled alone first, so that an error shows what the user wrote.
        compiled(pattern)?;
        let regex = compiled(&format!(r"\A(?:{pattern})\z"))?;
        Ok(Self(PatternFn { regex, action: Action::Find { group: 0 } }))
    }

    /// Puts out this group instead of the whole text; texts where it took no part are left out.
    ///
    /// # Errors
    /// A group that the pattern does not have.
    pub fn with_group(mut self, group: usize) -> Result<Self> {
        self.0.action = Action::Find { group: checked_group(&self.0.regex, group)? };
        Ok(self)
    }
}

impl RegexFind {
    /// The first part that matches this pattern.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn of(pattern: &str) -> Result<Self> {
        let regex = compiled(pattern)?;
        Ok(Self(PatternFn { regex, action: Action::Find { group: 0 } }))
    }

    /// Puts out this group instead of the whole match; matches where it took no part are left out.
    ///
    /// # Errors
    /// A group that the pattern does not have.
    pub fn with_group(mut self, group: usize) -> Result<Self> {
        self.0.action = Action::Find { group: checked_group(&self.0.regex, group)? };
        Ok(self)
    }
}

impl RegexFindAll {
    /// All parts that match this pattern.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn of(pattern: &str) -> Result<Self> {
        let regex = compiled(pattern)?;
        Ok(Self(PatternFn { regex, action: Action::FindAll { group: 0 } }))
    }

    /// Puts out this group instead of whole matches; matches where it took no part are left out.
    ///
    /// # Errors
    /// A group that the pattern does not have.
    pub fn with_group(mut self, group: usize) -> Result<Self> {
        self.0.action = Action::FindAll { group: checked_group(&self.0.regex, group)? };
        Ok(self)
    }
}

impl RegexReplace {
    /// Puts `by` where the pattern matches; `$1` or `${name}` in it is what a group has matched.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn all(pattern: &str, by: &str) -> Result<Self> {
        let regex = compiled(pattern)?;
        Ok(Self(PatternFn { regex, action: Action::ReplaceAll { by: by.into() } }))
    }

    /// The same for the first match of each text alone.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn first(pattern: &str, by: &str) -> Result<Self> {
        let regex = compiled(pattern)?;
        Ok(Self(PatternFn { regex, action: Action::ReplaceFirst { by: by.into() } }))
    }
}

impl RegexSplit {
    /// Cuts texts where this pattern matches.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn of(pattern: &str) -> Result<Self> {
        Ok(Self(PatternFn { regex: compiled(pattern)?, action: Action::Split }))
    }
}
