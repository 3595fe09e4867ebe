//! What the operating system knows of this process, its children and its sockets: fork(2), waitpid(2), getrusage(2) ...
//!
//! The only `unsafe` of the server. A child of ours does one thing, writes a file, and ends without having run anything that
//! would be run at the end of the server. Threads of the server only sync files
//! (`settle`): the one lock of theirs that a fork could leave held is the allocator's, which the C library sees to itself.

use crate::engine::hooks::{Processes, Usage};

/// Children that write the data set down, where there is a fork.
pub fn processes() -> Option<Processes> {
    #[cfg(unix)]
    return Some(Processes {
        fork: unix::fork,
        own_pid: std::process::id,
        leave: unix::leave,
        ended: unix::ended,
        kill: unix::kill,
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
    use super::Usage;
    use std::io;

    pub fn fork() -> Result<Option<u32>, String> {
        // SAFETY: one thread; the child uses nothing but memory and files that it opens itself, see `close_inherited`.
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
