//! Author errors: where in a course's files something is wrong, and what was expected there.

use std::fmt;
use std::sync::Arc;

/// One author error. `line` and `column` count from 1; 0 means the file as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Path below the course's folder.
    pub file: String,
    pub text: Arc<str>,
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// What was expected, or what to do.
    pub help: Option<String>,
}

impl Fault {
    pub fn new(file: &str, text: &Arc<str>, line: usize, column: usize, message: impl Into<String>) -> Fault {
        Fault { file: file.to_owned(), text: text.clone(), line, column, message: message.into(), help: None }
    }

    /// About a file as a whole, or one that is missing.
    pub fn whole(file: &str, message: impl Into<String>) -> Fault {
        Fault::new(file, &Arc::from(""), 0, 0, message)
    }

    pub fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }

    /// The byte range to underline: from the place to the end of its word.
    fn span(&self) -> Option<(usize, usize)> {
        if self.line == 0 {
            return None;
        }
        let start: usize = self.text.split_inclusive('\n').take(self.line - 1).map(str::len).sum();
        let line = self.text.get(start..)?.lines().next().unwrap_or("");
        let column = line.char_indices().nth(self.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        let rest = &line[column..];
        let len = rest.find([' ', ',', '}', ']']).filter(|len| *len > 0).unwrap_or(rest.len());
        Some((start + column, len))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl miette::Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (self.line > 0).then_some(self as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let (at, len) = self.span()?;
        Some(Box::new(std::iter::once(miette::LabeledSpan::new(Some("here".into()), at, len))))
    }
}

impl miette::SourceCode for Fault {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.text.as_bytes().read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.file.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}
