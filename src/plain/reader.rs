//! Where lines come from: rustyline on a terminal, stdin as it stands otherwise.

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use std::io::{self, BufRead};

pub enum Read {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the pipe.
    End,
}

pub enum Reader {
    Terminal(Box<DefaultEditor>),
    Pipe(Box<dyn BufRead>),
}

impl Reader {
    pub fn new(terminal: bool) -> io::Result<Reader> {
        if !terminal {
            return Ok(Reader::Pipe(Box::new(io::stdin().lock())));
        }
        let config = Config::builder().auto_add_history(true).build();
        let editor = DefaultEditor::with_config(config).map_err(io::Error::other)?;
        Ok(Reader::Terminal(Box::new(editor)))
    }

    /// The next line, without its newline. Bytes that are no UTF-8 are replaced.
    pub fn line(&mut self, prompt: &str) -> io::Result<Read> {
        match self {
            Reader::Terminal(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Read::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Read::Interrupt),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(ReadlineError::Io(error)) => Err(error),
                Err(error) => Err(io::Error::other(error)),
            },
            Reader::Pipe(input) => {
                let mut line = Vec::new();
                if input.read_until(b'\n', &mut line)? == 0 {
                    return Ok(Read::End);
                }
                let text = String::from_utf8_lossy(&line);
                Ok(Read::Line(text.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }
}
