//! SHUTDOWN and SIGTERM: at once, or when all replicas have everything.
//!
//! Who has replicas that lag lets writes wait, asks the replicas how far they are, and looks at each tick whether all have
//! everything or `shutdown-timeout` is over (Redis: prepareForShutdown, isReadyToShutdown and finishShutdown in server.c).

use super::Child;
use super::aof::State;
use crate::base::Millis;
use crate::engine::client::{Client, ClientId};
use crate::engine::refusal::Refusal;
use crate::engine::{Env, Instance, Outbox, Output};
use crate::resp::Reply;

/// How SHUTDOWN is to be done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Shutdown {
    pub save: bool,
    pub nosave: bool,
    /// Replicas are not waited for.
    pub now: bool,
    pub force: bool,
}

/// An end that waits for replicas.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    how: Shutdown,
    /// At this moment it ends anyway.
    until: Millis,
}

const FAILED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

impl Instance {
    /// SHUTDOWN and SIGTERM. Ok: the process ends, now or once its replicas have everything. Err: it does not; the log says
    /// why.
    pub fn shut_down(&mut self, env: &mut Env, how: Shutdown, out: &mut Outbox) -> Result<(), Refusal> {
        if self.persist.ending.is_some() {
            return Ok(());
        }
        out.push(Output::Log(String::from("* User requested shutdown...")));
        let timeout = Millis::from_secs(self.config.int("shutdown-timeout").max(0) as u64);
        if how.now || timeout == Millis::ZERO || self.replicas_have_all() {
            return self.finish_shutdown(env, how, out);
        }
        self.persist.ending = Some(Ending { how, until: env.now + timeout });
        self.request_acks(out);
        out.push(Output::Log(String::from("* Waiting for replicas before shutting down.")));
        Ok(())
    }

    /// What SIGTERM does: SHUTDOWN with the flags of `shutdown-on-sigterm`.
    pub fn terminate(&mut self, env: &mut Env, out: &mut Outbox) -> Result<(), Refusal> {
        out.push(Output::Log(String::from("* Received SIGTERM scheduling shutdown...")));
        let flags = self.config.text("shutdown-on-sigterm");
        let has = |word: &str| flags.lossy().split(' ').any(|it| it == word);
        let how = Shutdown { save: has("save"), nosave: has("nosave"), now: has("now"), force: has("force") };
        self.shut_down(env, how, out)
    }

    /// SHUTDOWN ABORT. Err: nobody wants to shut down.
    pub(in crate::engine) fn abort_shutdown(&mut self, out: &mut Outbox) -> Result<(), Refusal> {
        if self.persist.ending.is_none() {
            return Err(Refusal::new("ERR No shutdown in progress."));
        }
        self.cancel_shutdown(out);
        out.push(Output::Log(String::from("* Shutdown manually aborted.")));
        Ok(())
    }

    /// At each tick: whether there is nothing to wait for any more.
    pub(in crate::engine) fn tick_shutdown(&mut self, env: &mut Env, out: &mut Outbox) {
        let Some(ending) = self.persist.ending else { return };
        let over = ending.until <= env.now || self.replicas_have_all();
        if over && self.finish_shutdown(env, ending.how, out).is_err() {
            self.cancel_shutdown(out);
        }
    }

    /// How long the end that waits for replicas waits at most from now on; None: nobody wants to shut down.
    pub fn shuts_down_in(&self, now: Millis) -> Option<Millis> {
        self.persist.ending.map(|ending| ending.until.since(now))
    }

    /// When the end that waits for replicas has to be looked at again.
    pub(in crate::engine) fn next_shutdown(&self) -> Option<Millis> {
        let ending = self.persist.ending?;
        Some(if self.replicas_have_all() { self.now } else { ending.until })
    }

    /// A client has asked for the end that is under way, and waits for it.
    pub fn is_shut_down_by_client(&self) -> bool {
        self.clients.values().any(asked_to_end)
    }

    fn cancel_shutdown(&mut self, out: &mut Outbox) {
        self.persist.ending = None;
        let waiting: Vec<ClientId> =
            self.clients.values().filter(|client| asked_to_end(client)).map(|client| client.id).collect();
        for id in waiting {
            self.end_wait(id, Reply::error(FAILED), out);
        }
        self.resume_postponed();
    }

    fn replicas_have_all(&self) -> bool {
        self.attached().all(|(_, replica)| replica.ack_offset == self.replication.offset)
    }

    fn tell_of_replicas(&self, out: &mut Outbox) {
        let (mut all, mut lagging) = (0, 0);
        for (client, replica) in self.attached() {
            all += 1;
            if replica.ack_offset == self.replication.offset {
                continue;
            }
            lagging += 1;
            let state = replica.state.word().unwrap_or_default();
            let lag = if state == "online" { self.now.secs().saturating_sub(replica.ack_time.secs()) } else { 0 };
            out.push(Output::Log(format!(
                "* Lagging replica {} reported offset {} behind master, lag={lag}, state={state}.",
                self.name_of_replica(client.id),
                self.replication.offset.wrapping_sub(replica.ack_offset),
            )));
        }
        if all > 0 {
            let in_sync = all - lagging;
            out.push(Output::Log(format!("* {in_sync} of {all} replicas are in sync when shutting down.")));
        }
    }

    /// Ok: the process ends now. Err: it does not; the log says why.
    fn finish_shutdown(&mut self, env: &mut Env, how: Shutdown, out: &mut Outbox) -> Result<(), Refusal> {
        let say = |out: &mut Outbox, text: &str| out.push(Output::Log(text.to_owned()));
        self.tell_of_replicas(out);
        let failed = |out: &mut Outbox| {
            say(out, "# Errors trying to shut down the server. Check the logs for more information.");
            Err(Refusal::new(FAILED))
        };
        match &self.persist.child {
            Some(Child::Save { .. }) => {
                say(out, "# There is a child saving an .rdb. Killing it!");
                self.kill_child(env);
            }
            Some(Child::Rewrite { .. }) => {
                if self.persist.aof.state == State::FirstRewrite {
                    say(
                        out,
                        if how.force {
                            "# Writing initial AOF. Exit anyway."
                        } else {
                            "# Writing initial AOF, can't exit."
                        },
                    );
                    if !how.force {
                        return failed(out);
                    }
                }
                say(out, "# There is a child rewriting the AOF. Killing it!");
                self.kill_rewrite(env);
            }
            None => {}
        }
        if self.persist.aof.listens() {
            say(out, "* Calling fsync() on the AOF file.");
            self.sync_aof(env, out);
        }
        if (!self.config.save.is_empty() && !how.nosave) || how.save {
            say(out, "* Saving the final RDB snapshot before exiting.");
            if self.save(env, out).is_err() {
                if !how.force {
                    say(out, "# Error trying to save the DB, can't exit.");
                    return failed(out);
                }
                say(out, "# Error trying to save the DB. Exit anyway.");
            }
        }
        say(out, "# Redis is now ready to exit, bye bye...");
        out.push(Output::Exit);
        Ok(())
    }
}

fn asked_to_end(client: &Client) -> bool {
    client.blocked.as_ref().is_some_and(|blocked| blocked.args[0].eq_ignore_ascii_case(b"shutdown"))
}
