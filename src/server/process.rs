//! What the operating system knows of this process, its children and its sockets: fork(2), waitpid(2), getrusage(2) ...
//!
//! The only `unsafe` of the server. A child of ours does one thing, writes a file, and ends without having run anything that
//! would be run at the end of the server. Threads of the server only sync files
//! (`settle`): the one lock of theirs that a fork could leave held is the allocator's, which the C library sees to itself.

use crate::engine::hooks::{Processes, Progress, Usage};

/// Children that write the data set down, where there is a fork.
pub fn processes() -> Option<Processes> {
    #[cfg(unix)]
    return Some(Processes {
        fork: unix::fork,
        own_pid: std::process::id,
        leave: unix::leave,
        ended: unix::ended,
        kill: unix::kill,
        report: unix::report,
        progress: unix::progress,
    });
    #[cfg(not(unix))]
    None
}

pub fn usage() -> Usage {
    #[cfg(unix)]
    return unix::usage();
    #[cfg(not(unix))]
    Usage::default()
}

/// Makes room for so many open files, if the system allows. How many there may be now.
pub fn allow_files(wanted: u64) -> u64 {
    #[cfg(unix)]
    return unix::allow_files(wanted);
    #[cfg(not(unix))]
    wanted
}

#[cfg(unix)]
mod unix {
    use super::{Progress, Usage};
    use std::cell::Cell;
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::{SystemTime, UNIX_EPOCH};

    /// What a child tells the server while it works, in memory that both see.
    #[derive(Default)]
    struct Told {
        keys: AtomicU64,
        copied: AtomicU64,
        copied_max: AtomicU64,
        /// When the memory was looked at, in seconds since 1970.
        copied_at: AtomicU64,
    }

    /// Made once, before the first fork; None where the system does not give it.
    fn told() -> Option<&'static Told> {
        static TOLD: OnceLock<Option<&'static Told>> = OnceLock::new();
        *TOLD.get_or_init(|| {
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            // SAFETY: asks for new memory, which is all zeros: a value of `Told`. It is never given back.
            unsafe {
                let memory = libc::mmap(std::ptr::null_mut(), size_of::<Told>(), protection, flags, -1, 0);
                (memory != libc::MAP_FAILED).then(|| &*memory.cast::<Told>())
            }
        })
    }

    fn unix_secs() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    pub fn report(keys: u64) {
        thread_local! { static LOOKED_AT: Cell<u64> = const { Cell::new(0) } }
        let Some(told) = told() else { return };
        told.keys.store(keys, Relaxed);
        // To look costs as much as a few hundred keys.
        if keys % 1024 == 1 && LOOKED_AT.replace(unix_secs()) != unix_secs() {
            look_at_memory(told);
        }
    }

    /// What this process has written to since it began is its own; nothing is known of it where there is no /proc.
    fn look_at_memory(told: &Told) {
        let Ok(text) = std::fs::read_to_string("/proc/self/smaps_rollup") else { return };
        let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
        told.copied.store(kilobytes * 1024, Relaxed);
        told.copied_max.fetch_max(kilobytes * 1024, Relaxed);
        told.copied_at.store(unix_secs(), Relaxed);
    }

    pub fn progress() -> Progress {
        let Some(told) = told() else { return Progress::default() };
        let at = told.copied_at.load(Relaxed);
        Progress {
            keys: told.keys.load(Relaxed),
            copied: told.copied.load(Relaxed),
            copied_max: told.copied_max.load(Relaxed),
            copied_age_secs: if at == 0 { 0 } else { unix_secs().saturating_sub(at) },
        }
    }

    pub fn fork() -> Result<Option<u32>, String> {
        if let Some(Told { keys, copied, copied_max, copied_at }) = told() {
            [keys, copied, copied_max, copied_at].into_iter().for_each(|number| number.store(0, Relaxed));
        }
        // SAFETY: the other threads only sync files (see above); the child uses nothing but memory and files that it opens
        // itself, see `close_inherited`.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error().to_string()),
            0 => {
                close_inherited();
                Ok(None)
            }
            pid => Ok(Some(pid as u32)),
        }
    }

    /// Closes what the child has of the server's sockets: a client whose connection the server ends must see that end, though
    /// a child still runs.
    fn close_inherited() {
        let names = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
        let open: Vec<i32> = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
            // SAFETY: the values that own these descriptors are never used or dropped in the child: it ends by `leave`.
            unsafe { libc::close(descriptor) };
        }
    }

    pub fn leave(error: Option<&str>) -> ! {
        if let Some(told) = told() {
            look_at_memory(told);
        }
        if let Some(line) = error {
            eprintln!("{line}");
        }
        // SAFETY: ends the process without running what the server would run at its end.
        unsafe { libc::_exit(i32::from(error.is_some())) }
    }

    pub fn ended(pid: u32) -> Option<bool> {
        let mut status = 0;
        // SAFETY: a child of ours; `status` is where the answer goes.
        match unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, libc::WNOHANG) } {
            0 => None,
            // Somebody else has waited for it; how it ended cannot be known.
            -1 => Some(false),
            _ => Some(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0),
        }
    }

    pub fn kill(pid: u32) {
        let pid = pid as libc::pid_t;
        let mut status = 0;
        // SAFETY: a child of ours that has not been waited for, so the number is still its own.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, &raw mut status, 0);
        }
    }

    pub fn allow_files(wanted: u64) -> u64 {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads two numbers into `limit`, and sets them from it.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
                return 1024;
            }
            if limit.rlim_cur < wanted {
                let before = limit.rlim_cur;
                limit.rlim_cur = wanted.min(limit.rlim_max);
                if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                    return before;
                }
            }
        }
        limit.rlim_cur
    }

    pub fn usage() -> Usage {
        let of = |who| {
            // SAFETY: plain numbers, all zeros are a value of it; the call fills it in.
            unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                libc::getrusage(who, &raw mut usage);
                usage
            }
        };
        let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        let (own, children) = (of(libc::RUSAGE_SELF), of(libc::RUSAGE_CHILDREN));
        // SAFETY: asks for two numbers.
        let (page, pages) = unsafe { (libc::sysconf(libc::_SC_PAGESIZE), libc::sysconf(libc::_SC_PHYS_PAGES)) };
        let page = page.max(0) as u64;
        // Where there is no /proc, the most that it ever was; in kilobytes.
        let most = own.ru_maxrss as u64 * 1024;
        let statm = std::fs::read_to_string("/proc/self/statm").ok();
        let resident =
            statm.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).map_or(most, |pages| pages * page);
        Usage {
            resident,
            memory: pages.max(0) as u64 * page,
            system: us(own.ru_stime),
            user: us(own.ru_utime),
            children_system: us(children.ru_stime),
            children_user: us(children.ru_utime),
        }
    }
}
