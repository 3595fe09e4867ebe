//! The real terminal: taken over on entry, and given back on every way out, panics and signals included.

use super::Surface;
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use std::io::{self, Stdout, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Hook = Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Sync + Send + 'static>;

pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Set by SIGTERM and SIGHUP.
    ended: Arc<AtomicBool>,
    mouse: bool,
    #[cfg(unix)]
    signals: Vec<signal_hook::SigId>,
}

impl Screen {
    /// Takes the terminal over. A panic from now on gives it back, and writes its message to `log`.
    pub fn enter(log: Option<PathBuf>) -> io::Result<Screen> {
        let ended = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
            .into_iter()
            .map(|signal| signal_hook::flag::register(signal, ended.clone()))
            .collect::<io::Result<Vec<_>>>()?;
        on_panic(log);
        let terminal = take().and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        let terminal = terminal.inspect_err(|_| give_back())?;
        Ok(Screen {
            terminal,
            ended,
            mouse: false,
            #[cfg(unix)]
            signals,
        })
    }

    pub fn draw(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        execute!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(view)?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// SIGTERM or SIGHUP came.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Surface for Screen {
    fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(io::stdout(), EnableMouseCapture) } else { execute!(io::stdout(), DisableMouseCapture) }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    fn suspend(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            give_back();
            signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
            take()?;
            if self.mouse {
                self.mouse(true)?;
            }
            self.terminal.clear()?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        #[cfg(unix)]
        for signal in self.signals.drain(..) {
            signal_hook::low_level::unregister(signal);
        }
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}

/// Whether the terminal is ours at the moment; giving back happens once.
static TAKEN: AtomicBool = AtomicBool::new(false);

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen)?;
    // Windows' console has no bracketed paste, and asking for it breaks keys in some terminals there.
    if cfg!(unix) {
        execute!(io::stdout(), EnableBracketedPaste)?;
    }
    Ok(())
}

/// Undoes all that was switched on. Errors are of no use here: the terminal may be gone.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture);
    if cfg!(unix) {
        let _ = execute!(out, DisableBracketedPaste);
    }
    let _ = execute!(out, EndSynchronizedUpdate, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

fn on_panic(log: Option<PathBuf>) {
    let hook: Hook = Box::new(move |info| {
        give_back();
        let report = format!("{info}\n{}\n", std::backtrace::Backtrace::force_capture());
        let written = log.as_ref().filter(|path| {
            path.parent().is_none_or(|folder| std::fs::create_dir_all(folder).is_ok())
                && std::fs::write(path, &report).is_ok()
        });
        match written {
            Some(path) => eprintln!("redlab: a bug ended the lab. What you did is kept. Details: {}", path.display()),
            None => eprintln!("redlab: a bug ended the lab. What you did is kept. {info}"),
        }
    });
    std::panic::set_hook(hook);
}
