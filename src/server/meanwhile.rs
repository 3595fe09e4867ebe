//! The other connections, while a script of one of them runs long.
//!
//! A step of an instance is synchronous, and for as long as it lasts the instance is lent to it. What others send meanwhile is
//! read here and handed to the step itself (`hooks::Outside`), which answers most of it with BUSY. Links to other servers, and
//! the clients of other instances in this process, wait until the step has ended.

use super::connection::{Connection, Got};
use super::event_loop::{FIRST_TOKEN, Server, wall_clock};
use super::links::FIRST_LINK;
use super::listen::{Listener, Stream};
use crate::engine::client::Ends;
use crate::engine::disk::{Disk, DiskError, ReplaceError};
use crate::engine::hooks::{Buffers, Outside};
use crate::engine::{ClientId, Input, Output};
use crate::resp::{Protocol, Reply, decode, encode};
use mio::{Events, Interest, Token};
use std::time::Duration;

/// An instance's disk for one step, with the way to everybody else.
pub(super) struct Lent<'a> {
    pub disk: &'a mut dyn Disk,
    pub server: &'a mut Server,
    pub listeners: &'a mut [Listener],
    pub index: usize,
    /// Whose request the step is about: it is not read from before it has its answer.
    pub client: Option<ClientId>,
}

impl Outside for Lent<'_> {
    fn arrived(&mut self) -> Vec<Input> {
        let mut events = Events::with_capacity(256);
        let mut inputs = Vec::new();
        if self.server.poll.poll(&mut events, Some(Duration::ZERO)).is_err() {
            return inputs;
        }
        self.server.note(&events);
        for (token, readable) in std::mem::take(&mut self.server.called) {
            let heard = match token {
                token if token < FIRST_TOKEN => self.accept(token, &mut inputs),
                FIRST_LINK.. => false,
                _ => readable && self.read(token, &mut inputs),
            };
            if !heard {
                self.server.called.push_back((token, readable));
            }
        }
        self.flush(&mut inputs);
        inputs
    }

    fn buffers(&self, id: ClientId) -> Buffers {
        self.server.connections.get(&self.server.token_of(id)).map(Connection::buffers).unwrap_or_default()
    }

    fn tell(&mut self, said: Vec<(Protocol, Output)>) {
        for (protocol, output) in said {
            let (Output::Reply(id, _) | Output::Push(id, _) | Output::Raw(id, _) | Output::Close(id)) = &output else {
                continue;
            };
            let token = self.server.token_of(*id);
            let Some(connection) = self.server.connections.get_mut(&token) else { continue };
            self.server.dirty.push(token);
            match output {
                Output::Reply(_, reply) | Output::Push(_, reply) => {
                    encode::reply(&mut connection.out, &reply, protocol);
                }
                Output::Raw(_, bytes) => connection.out.extend_from_slice(&bytes),
                _ => connection.closing = true,
            }
        }
        // Whoever is gone is told of with what arrives next.
        self.flush(&mut Vec::new());
    }
}

impl Lent<'_> {
    /// Takes in who calls here; false if that is for somebody else to do.
    fn accept(&mut self, token: usize, inputs: &mut Vec<Input>) -> bool {
        let Some(&(index, at)) = self.server.listeners.get(&token) else { return false };
        if index != self.index || at >= self.listeners.len() {
            return false;
        }
        while let Ok((mut stream, addr, laddr)) = self.listeners[at].accept() {
            let unix = !matches!(stream, Stream::Tcp(_));
            let id = ClientId(self.server.next_client);
            self.server.next_client += 1;
            let token = self.server.token_of(id);
            if self.server.poll.registry().register(stream.source(), Token(token), Interest::READABLE).is_ok() {
                self.server.connections.insert(token, Connection::new(stream, index, wall_clock()));
                inputs.push(Input::ConnectFrom(id, Ends { addr, laddr, unix }));
                self.read(token, inputs);
            }
        }
        true
    }

    /// Reads all that a connection of this instance has sent; false if it is another's.
    fn read(&mut self, token: usize, inputs: &mut Vec<Input>) -> bool {
        let id = self.server.id_of(token);
        let Some(connection) = self.server.connections.get_mut(&token) else { return true };
        if connection.node != self.index {
            return false;
        }
        let mut scratch = std::mem::take(&mut self.server.scratch);
        let ended = loop {
            match connection.read(&mut scratch) {
                Got::Full | Got::Bytes => {}
                Got::Nothing => break false,
                Got::End => break true,
            }
        };
        self.server.scratch = scratch;
        // What the client itself sends meanwhile stays in its buffer: its turn goes on with it when the script has ended.
        while self.client != Some(id) && !connection.closing {
            match connection.requests.next(decode::Limits::default()) {
                Ok(Some(args)) => inputs.push(Input::Request(id, args)),
                Ok(None) => break,
                Err(error) => {
                    encode::reply(&mut connection.out, &Reply::error(error.0), Protocol::Resp2);
                    connection.closing = true;
                    self.server.dirty.push(token);
                }
            }
        }
        if ended {
            self.forget(token, inputs);
        }
        true
    }

    fn forget(&mut self, token: usize, inputs: &mut Vec<Input>) {
        if let Some(mut connection) = self.server.connections.remove(&token) {
            let _ = self.server.poll.registry().deregister(connection.stream.source());
            inputs.push(Input::Hangup(self.server.id_of(token)));
        }
    }

    /// Writes what is to be written to this instance's clients; what does not go at once waits for the event loop.
    fn flush(&mut self, inputs: &mut Vec<Input>) {
        for token in std::mem::take(&mut self.server.dirty) {
            if self.server.token_waits(token) {
                self.server.late.push(token);
                continue;
            }
            let Some(connection) = self.server.connections.get_mut(&token) else { continue };
            let alive = connection.flush().is_ok();
            let waits = connection.pending() > 0;
            if alive && (waits || connection.closing) || self.client == Some(self.server.id_of(token)) {
                self.server.late.push(token);
            } else if !alive {
                self.forget(token, inputs);
            }
        }
        let late = std::mem::take(&mut self.server.late);
        self.server.dirty.extend(late);
    }
}

impl Disk for Lent<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.disk.read(path)
    }
    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        self.disk.write(path, contents)
    }
    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        self.disk.append(path, tail)
    }
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        self.disk.truncate(path, len)
    }
    fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        self.disk.fsync(path)
    }
    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.disk.fsync_dir(dir)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.disk.remove(path)
    }
    fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.disk.create_dir(dir)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.disk.list(dir)
    }
    fn len(&self, path: &str) -> Option<u64> {
        self.disk.len(path)
    }
    fn replace(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        self.disk.replace(path, beside, contents, durable)
    }
    fn replace_soon(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        self.disk.replace_soon(path, beside, contents, durable)
    }
    fn outside(&mut self) -> Option<&mut dyn Outside> {
        Some(self)
    }
}
