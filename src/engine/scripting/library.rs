//! Function libraries: sources that register functions when they are loaded, kept and replicated as text.

use super::machine::{Machine, Registered};
use super::script::{ScriptFlags, shebang};
use super::{Scripting, Spare};
use crate::base::{Bytes, carry};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Library {
    pub name: Bytes,
    /// The whole source, with its first line.
    pub code: Bytes,
    pub functions: BTreeMap<Bytes, Signature>,
}

impl Library {
    /// Where Lua begins: at the end of the first line, so that line numbers stay right.
    pub fn code_start(&self) -> usize {
        self.code.iter().position(|byte| *byte == b'\n').unwrap_or(0)
    }
}

/// A function as it was registered, but for its body.
#[derive(Clone, Debug)]
pub struct Signature {
    pub description: Option<Bytes>,
    pub flags: ScriptFlags,
}

/// All libraries by name, and whose each function is.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    pub by_name: BTreeMap<Bytes, Arc<Library>>,
    /// By the function's name in lower case, with the name itself.
    owners: BTreeMap<Vec<u8>, (Bytes, Bytes)>,
}

impl Libraries {
    /// A function by its name, in any case: its library, its name as registered, and the rest.
    pub fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &Bytes, &Signature)> {
        let (function, owner) = self.owners.get(&name.to_ascii_lowercase())?;
        let library = self.by_name.get(owner)?;
        Some((library, function, library.functions.get(function)?))
    }

    pub fn functions(&self) -> usize {
        self.owners.len()
    }

    pub fn put(&mut self, library: Arc<Library>) {
        self.remove(&library.name);
        for function in library.functions.keys() {
            self.owners.insert(function.to_ascii_lowercase(), (function.clone(), library.name.clone()));
        }
        self.by_name.insert(library.name.clone(), library);
    }

    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else { return false };
        for function in library.functions.keys() {
            self.owners.remove(&function.to_ascii_lowercase());
        }
        true
    }

    /// Whether `library` may come in. Err: in Redis' words; one of its name, or a function of another that has its name.
    pub fn admits(&self, library: &Library, replace: bool) -> Result<(), String> {
        if !replace && self.by_name.contains_key(&library.name) {
            return Err(format!("Library {} already exists", library.name.printed()));
        }
        let owner = |function: &Bytes| self.owners.get(&function.to_ascii_lowercase()).map(|(_, owner)| owner);
        let taken = |function: &&Bytes| owner(function).is_some_and(|owner| *owner != library.name);
        match library.functions.keys().find(taken) {
            Some(function) => Err(format!("Function {} already exists", function.printed())),
            None => Ok(()),
        }
    }

    /// Bytes that sources, names and descriptions take.
    pub fn memory(&self) -> usize {
        let of = |library: &Arc<Library>| {
            let texts = library.functions.iter().map(|(name, it)| {
                size_of::<Signature>() + name.len() + it.description.as_ref().map_or(0, |text| text.len())
            });
            size_of::<Library>() + library.name.len() + library.code.len() + texts.sum::<usize>()
        };
        self.by_name.values().map(of).sum()
    }
}

/// What the first line of a library says: its name, and where the code begins.
struct Header {
    name: Bytes,
    start: usize,
}

const BAD_NAME: &str =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

pub fn check_name(name: &[u8]) -> Result<(), String> {
    if is_name(name) { Ok(()) } else { Err(BAD_NAME.to_owned()) }
}

fn header(code: &[u8]) -> Result<Header, String> {
    if !code.starts_with(b"#!") {
        return Err(String::from("Missing library metadata"));
    }
    let (start, words) = shebang(code, "Invalid library metadata", "Invalid library metadata")?;
    let mut name = None;
    for word in &words[1..] {
        let value = word.split_at_checked(5).filter(|(key, _)| key.eq_ignore_ascii_case(b"name="));
        let Some((_, value)) = value else {
            return Err(format!("Invalid metadata value given: {}", word.printed()));
        };
        if name.replace(Bytes::copy(value)).is_some() {
            return Err(String::from("Invalid metadata value, name argument was given multiple times"));
        }
    }
    let name = name.ok_or_else(|| String::from("Library name was not given"))?;
    check_name(&name)?;
    let engine = &words[0][2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(format!("Engine '{}' not found", carry::printed(engine)));
    }
    Ok(Header { name, start })
}

impl Scripting {
    /// Runs the source of a library and puts it in. Its name; Err: in Redis' words, and nothing has changed.
    pub fn load_library(&mut self, code: &Bytes, replace: bool, for_server: bool) -> Result<Bytes, String> {
        let header = header(code)?;
        if !replace && self.libraries.by_name.contains_key(&header.name) {
            return Err(format!("Library '{}' already exists", header.name.printed()));
        }
        let mut machine = self.take_machine(for_server)?;
        let loaded = machine.load(&header.name, code);
        let loaded = loaded.and_then(|library| self.libraries.admits(&library, true).map(|()| library));
        match &loaded {
            Ok(library) => self.libraries.put(Arc::clone(library)),
            // Under its name there may be another, which has to be loaded anew.
            Err(_) => machine.forget(&header.name),
        }
        self.machine = Spare(Some(machine));
        loaded.map(|_| header.name)
    }

    /// Libraries from their sources, to be put in together. Err: in Redis' words.
    pub fn read_libraries(&mut self, codes: &[Bytes], for_server: bool) -> Result<Libraries, String> {
        let mut aside = Scripting { machine: Spare(Some(self.take_machine(for_server)?)), ..Scripting::default() };
        let outcome = codes.iter().try_for_each(|code| aside.load_library(code, false, for_server).map(|_| ()));
        // What was loaded on the side must not be taken for what was there before.
        self.machine = Spare(None);
        outcome.map(|()| aside.libraries)
    }

    pub fn take_machine(&mut self, for_server: bool) -> Result<Box<Machine>, String> {
        match self.machine.0.take() {
            Some(machine) => Ok(machine),
            None => Machine::new(for_server)
                .map(Box::new)
                .map_err(|error| format!("the Lua interpreter could not be made: {error}")),
        }
    }
}

impl Machine {
    /// Runs the source of a library; what it registered is kept for calls. Err: in Redis' words.
    pub fn load(&mut self, name: &Bytes, code: &Bytes) -> Result<Arc<Library>, String> {
        let start = header(code)?.start;
        let registered = self.register(&code[start..])?;
        if registered.is_empty() {
            return Err(String::from("No functions registered"));
        }
        let signature = |it: &Registered| Signature { description: it.description.clone(), flags: it.flags };
        let functions = registered.iter().map(|it| (it.name.clone(), signature(it))).collect();
        let library = Arc::new(Library { name: name.clone(), code: code.clone(), functions });
        self.keep(&library, registered);
        Ok(library)
    }
}
