//! The real binary in a real pseudo-terminal: what a person would see, press and lose.
#![cfg(unix)]

mod walk;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before it counts as never.
const PATIENCE: Duration = Duration::from_secs(20);

struct Lab {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Everything that was printed, for control sequences that the screen does not show.
    raw: Vec<u8>,
}

impl Lab {
    /// Starts `redlab ARGS` at `columns` x `rows` with its files below `home`.
    fn start(home: &std::path::Path, size: (u16, u16), args: &[&str], env: &[(&str, &str)]) -> Lab {
        let pty = native_pty_system()
            .openpty(PtySize { rows: size.1, cols: size.0, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo-terminal can be had");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_redlab"));
        command.args(args);
        command.env_clear();
        let folder = home.to_str().expect("the temporary folder has a readable name");
        for (name, value) in [("HOME", folder), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8")].iter().chain(env) {
            command.env(name, value);
        }
        for name in ["XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, home.join(name));
        }
        let child = pty.slave.spawn_command(command).expect("the binary starts");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("the master can be read");
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keyboard = pty.master.take_writer().expect("the master can be written");
        Lab {
            child,
            master: pty.master,
            keyboard,
            bytes,
            screen: vt100::Parser::new(size.1, size.0, 0),
            raw: Vec::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.keyboard.flush().expect("the terminal takes keys");
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads until `holds`, and panics with the screen if that never comes.
    fn until(&mut self, what: &str, holds: impl Fn(&Lab) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            let left = end.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => {
                    self.raw.extend_from_slice(&bytes);
                    self.screen.process(&bytes);
                }
                Err(_) => panic!("never came: {what}; the screen:\n{}", self.text()),
            }
        }
    }

    fn shows(&mut self, text: &str) {
        self.until(text, |lab| lab.text().contains(text));
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.master
            .resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo-terminal can be resized");
        self.screen.screen_mut().set_size(rows, columns);
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.process_id().expect("it runs").to_string();
        let done = std::process::Command::new("kill").args([signal, &pid]).status().expect("kill(1) is installed");
        assert!(done.success());
    }

    /// Waits for the end; true if it ended well.
    fn ends(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            while let Ok(bytes) = self.bytes.try_recv() {
                self.raw.extend_from_slice(&bytes);
                self.screen.process(&bytes);
            }
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(200)) {
                    self.raw.extend_from_slice(&bytes);
                    self.screen.process(&bytes);
                }
                return status.success();
            }
            assert!(Instant::now() < end, "it never ended; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal is as it was before: no alternate screen, no pasting, no mouse, a cursor.
    fn is_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen was left on");
        assert!(!screen.bracketed_paste(), "bracketed paste was left on");
        assert!(!screen.hide_cursor(), "the cursor was left hidden");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be had")
}

#[test]
fn the_first_frame_says_what_to_type_and_that_makes_the_first_goal_green() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[]);
    lab.shows("To do");
    lab.shows("SET shop:open yes and press Enter");
    lab.press("SET shop:open yes\r");
    lab.shows("✓ Done: Open the shop");
    lab.press("\r");
    lab.shows("Exercise 2 of 4, now");
    // Twice Ctrl-C at an empty line leaves.
    lab.press("\x03");
    lab.shows("Ctrl-C once more leaves");
    lab.press("\x03");
    assert!(lab.ends());
    lab.is_restored();
    assert!(lab.text().contains("brings you back"), "{}", lab.text());
}

#[test]
fn a_terminal_of_one_column_and_two_rows_is_survived_and_the_typed_line_too() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[]);
    lab.shows("To do");
    lab.press("SET shop:o");
    lab.shows("> SET shop:o");
    lab.resize(1, 2);
    lab.until("a frame of two cells", |lab| lab.text().contains('T'));
    lab.resize(30, 8);
    lab.shows("Too small");
    lab.resize(100, 30);
    lab.shows("> SET shop:o");
    lab.press("pen yes\r");
    lab.shows("✓ Done: Open the shop");
}

#[test]
fn five_pasted_megabytes_are_asked_about_and_not_run() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[]);
    lab.shows("To do");
    let mut keyboard = std::mem::replace(&mut lab.keyboard, Box::new(std::io::sink()));
    // Typed from a thread: the terminal takes it in as fast as it is read.
    let typist = std::thread::spawn(move || {
        keyboard.write_all(b"\x1b[200~").expect("the terminal takes keys");
        let line = format!("SET big {}\n", "x".repeat(1000));
        for _ in 0..5 * 1024 {
            keyboard.write_all(line.as_bytes()).expect("the terminal takes keys");
        }
        keyboard.write_all(b"\x1b[201~").expect("the terminal takes keys");
        keyboard
    });
    lab.shows("Run 5120 pasted lines?");
    lab.keyboard = typist.join().expect("the typist is done");
    lab.press("\x1b");
    lab.shows("nothing was run");
    lab.press("EXISTS big\r");
    lab.shows("(integer) 0");
}

#[test]
fn kill_9_loses_nothing_that_was_answered() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[]);
    lab.shows("To do");
    lab.press("SET shop:open yes\r");
    lab.shows("✓ Done: Open the shop");
    lab.press("SET cart:42 tea\r");
    // Two lines that were run, and the prompt for a third.
    lab.until("the answer to the second command", |lab| lab.text().matches("127.0.0.1:6379>").count() >= 3);
    lab.signal("-KILL");
    lab.ends();
    let mut again = Lab::start(home.path(), (80, 24), &[], &[]);
    again.shows("✓ Done: Open the shop");
    again.shows("> SET shop:open yes");
    again.shows("> SET cart:42 tea");
    again.press("GET cart:42\r");
    again.shows("\"tea\"");
}

#[test]
fn sigterm_and_a_panic_give_the_terminal_back() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[]);
    lab.shows("To do");
    lab.signal("-TERM");
    assert!(lab.ends());
    lab.is_restored();

    let mut lab = Lab::start(home.path(), (80, 24), &[], &[("REDLAB_TEST_PANIC", "1")]);
    assert!(!lab.ends());
    lab.is_restored();
    assert!(lab.text().contains("a bug ended the lab"), "{}", lab.text());
}

#[test]
fn no_color_means_no_colour() {
    let home = home();
    let mut lab = Lab::start(home.path(), (80, 24), &[], &[("NO_COLOR", "1")]);
    lab.shows("To do");
    lab.press("SET shop:open yes\r");
    lab.shows("✓ Done: Open the shop");
    let text = String::from_utf8_lossy(&lab.raw).into_owned();
    // Sequences that set a colour: 30-37, 90-97, 38;..., 40-47 and so on; attributes and resets (39, 49) are fine.
    for sequence in text.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m').map(|(codes, _)| codes)) {
        let codes: Vec<u16> = sequence.split(';').filter_map(|code| code.parse().ok()).collect();
        if codes.len() == sequence.split(';').count() {
            assert!(!codes.iter().any(|code| matches!(code, 30..=38 | 40..=48 | 90..=107)), "a colour: {sequence}");
        }
    }
}

#[test]
fn without_a_terminal_the_same_lab_speaks_in_lines() {
    let home = home();
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_redlab"))
        .args(["learn", "0.1"])
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .write_stdin("SET shop:open yes\n:next\nGET shop:open\n:quit\n")
        .assert()
        .success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    for line in [
        "Goal 1 of 1 met: `shop:open` holds `yes`.",
        "Exercise 2 of 4: Ask for it.",
        "Goal 1 of 2 met: You read `shop:open`.",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    assert!(!text.contains('\x1b') && !text.contains('─'), "{text}");
}

/// The screen as SVG: a row of text per run of one style, each pinned to its columns.
fn svg(screen: &vt100::Screen) -> String {
    const WIDE: f32 = 8.4;
    const HIGH: f32 = 19.0;
    let (rows, columns) = screen.size();
    let (width, height) = (f32::from(columns) * WIDE + 24.0, f32::from(rows) * HIGH + 24.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let start = column;
            let style = ink(screen, row, start);
            let mut text = String::new();
            while column < columns && ink(screen, row, column) == style {
                let contents = screen.cell(row, column).map(|cell| cell.contents()).unwrap_or_default();
                text.push_str(if contents.is_empty() { " " } else { contents });
                column += 1;
            }
            if text.trim().is_empty() {
                continue;
            }
            let (x, y) = (12.0 + f32::from(start) * WIDE, 12.0 + f32::from(row) * HIGH + 14.0);
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}");
            let (fill, bold) = style;
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let length = f32::from(column - start) * WIDE;
            out.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{fill}\"{weight} textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\">{text}</text>\n"
            ));
        }
    }
    let (row, column) = screen.cursor_position();
    let (x, y) = (12.0 + f32::from(column) * WIDE, 12.0 + f32::from(row) * HIGH);
    out.push_str(&format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDE}\" height=\"{HIGH}\" fill=\"#d4d7dd\" opacity=\"0.8\"/>\n"
    ));
    out.push_str("</svg>\n");
    out
}

/// Colour and weight of a cell, on a dark ground.
fn ink(screen: &vt100::Screen, row: u16, column: u16) -> (&'static str, bool) {
    let Some(cell) = screen.cell(row, column) else { return ("#d4d7dd", false) };
    let colour = match cell.fgcolor() {
        vt100::Color::Idx(2 | 10) => "#8fc77c",
        vt100::Color::Idx(6 | 14) => "#5fc4c9",
        vt100::Color::Idx(1 | 9) => "#f07178",
        vt100::Color::Idx(4 | 12) => "#82aaff",
        vt100::Color::Idx(5 | 13) => "#d6a4f5",
        vt100::Color::Idx(8) => "#5c6370",
        _ if cell.dim() => "#9aa0ab",
        _ => "#d4d7dd",
    };
    (colour, cell.bold())
}

/// The README's picture. `REDLAB_PICTURE=assets/lab.svg cargo test --test terminal picture` draws it anew.
#[test]
fn the_picture_of_the_readme_is_made_from_the_program() {
    let home = home();
    let mut lab = Lab::start(home.path(), (118, 34), &["learn", "1.2"], &[]);
    lab.shows("Exercise 1 of");
    lab.press("SET session:a1 alice EX 1800\r");
    lab.shows("Done:");
    lab.press("SET session:b2 bob EX 40\r");
    lab.press("HSET cart:42 tea 1 mug 2\r");
    lab.shows("(integer) 2");
    lab.press("TTL session:a1\r");
    lab.shows("(integer) 1");
    lab.shows("0:3");
    let picture = svg(lab.screen.screen());
    assert!(picture.contains("session:b2") && picture.contains("Terminal"));
    if let Some(path) = std::env::var_os("REDLAB_PICTURE") {
        std::fs::write(path, picture).expect("the picture can be written");
    }
}
