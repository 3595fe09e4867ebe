//! What survives a power cut, and what a full disk refuses.

use super::*;

fn disk() -> Disk {
    Disk::new(Millis(1000))
}

fn after_power_cut(disk: &Disk) -> Disk {
    let mut copy = disk.clone();
    copy.power_cut(None);
    copy
}

#[test]
fn what_is_only_written_survives_no_power_cut() {
    let mut disk = disk();
    disk.append("a", b"one").unwrap();
    assert_eq!(disk.read("a"), Ok(&b"one"[..]));
    assert_eq!(after_power_cut(&disk).read("a"), Err(DiskError::NotFound));
    assert_eq!(disk.status("a"), Some(Status { len: 3, durable_len: 0, durable: false }));
}

#[test]
fn a_synced_file_keeps_what_it_held_then() {
    let mut disk = disk();
    disk.append("a", b"one").unwrap();
    disk.fsync("a").unwrap();
    disk.append("a", b"two").unwrap();
    assert_eq!(disk.status("a"), Some(Status { len: 6, durable_len: 3, durable: false }));
    assert_eq!(after_power_cut(&disk).read("a"), Ok(&b"one"[..]));
}

#[test]
fn overwritten_and_cut_files_come_back_as_they_were_synced() {
    let mut disk = disk();
    disk.write("a", b"first").unwrap();
    disk.write("b", b"0123456789").unwrap();
    disk.fsync("a").unwrap();
    disk.fsync("b").unwrap();
    disk.write("a", b"2nd").unwrap();
    disk.truncate("b", 3).unwrap();
    disk.append("b", b"x").unwrap();
    let after = after_power_cut(&disk);
    assert_eq!(after.read("a"), Ok(&b"first"[..]));
    assert_eq!(after.read("b"), Ok(&b"0123456789"[..]));
    assert_eq!(disk.read("b"), Ok(&b"012x"[..]));
    assert_eq!((disk.used_bytes(), after.used_bytes()), (7, 15));
}

#[test]
fn a_rename_is_undone_by_a_power_cut_until_its_directory_is_synced() {
    let mut disk = disk();
    disk.write("dump.rdb", b"old").unwrap();
    disk.fsync("dump.rdb").unwrap();
    disk.write("temp.rdb", b"new").unwrap();
    disk.fsync("temp.rdb").unwrap();
    disk.rename("temp.rdb", "dump.rdb").unwrap();
    let after = after_power_cut(&disk);
    assert_eq!(after.read("dump.rdb"), Ok(&b"old"[..]));
    assert_eq!(after.read("temp.rdb"), Ok(&b"new"[..]));
    disk.fsync_dir("").unwrap();
    let after = after_power_cut(&disk);
    assert_eq!(after.read("dump.rdb"), Ok(&b"new"[..]));
    assert_eq!(after.read("temp.rdb"), Err(DiskError::NotFound));
}

#[test]
fn the_kernel_writes_names_back_after_5_s_and_contents_after_30_s() {
    let mut disk = disk();
    disk.append("a", b"one").unwrap();
    disk.pass(Millis(1000 + 4_999));
    assert_eq!(after_power_cut(&disk).read("a"), Err(DiskError::NotFound));
    disk.pass(Millis(1000 + 5_000));
    assert_eq!(after_power_cut(&disk).read("a"), Ok(&b""[..]));
    disk.pass(Millis(1000 + 29_999));
    disk.append("a", b"two").unwrap();
    assert_eq!(after_power_cut(&disk).read("a"), Ok(&b""[..]));
    disk.pass(Millis(1000 + 30_000));
    assert_eq!(after_power_cut(&disk).read("a"), Ok(&b"onetwo"[..]));
}

#[test]
fn a_file_renamed_over_another_brings_its_contents_along() {
    let mut disk = disk();
    disk.write("conf", b"old").unwrap();
    disk.fsync("conf").unwrap();
    disk.write("tmp", b"new").unwrap();
    disk.rename("tmp", "conf").unwrap();
    disk.pass(Millis(1000 + 5_000));
    assert_eq!(after_power_cut(&disk).read("conf"), Ok(&b"new"[..]));
}

#[test]
fn a_torn_tail_is_a_prefix_of_what_was_appended_and_the_seed_chooses_it() {
    let mut disk = disk();
    disk.append("a", b"synced.").unwrap();
    disk.fsync("a").unwrap();
    disk.append("a", b"0123456789").unwrap();
    let lengths: BTreeSet<usize> = (0..200)
        .map(|seed| {
            let mut copy = disk.clone();
            copy.power_cut(Some(&mut Rng::new(seed)));
            let left = copy.read("a").unwrap().to_vec();
            assert!(b"synced.0123456789".starts_with(left.as_slice()) && left.len() >= 7);
            left.len()
        })
        .collect();
    assert_eq!(lengths, (7..=17).collect());
}

#[test]
fn a_full_disk_refuses_and_changes_nothing() {
    let mut disk = disk();
    disk.capacity_bytes = Some(10);
    disk.write("a", b"12345678").unwrap();
    assert_eq!(disk.append("a", b"901"), Err(DiskError::Full));
    assert_eq!(disk.write("b", b"123"), Err(DiskError::Full));
    assert_eq!(disk.files_below("").collect::<Vec<_>>(), ["a"]);
    disk.append("a", b"90").unwrap();
    disk.remove("a").unwrap();
    disk.write("b", b"1234567890").unwrap();
    assert_eq!(disk.used_bytes(), 10);
}

#[test]
fn a_file_needs_its_directory() {
    let mut disk = disk();
    assert_eq!(disk.write("no/file", b"x"), Err(DiskError::NotFound));
    disk.create_dirs("data/aof").unwrap();
    disk.write("data/aof/x", b"x").unwrap();
    assert!(matches!(disk.write("data", b"x"), Err(DiskError::Other(_))));
    let from = From { disk: &mut disk, dir: "data" };
    assert_eq!(from.list("aof"), Ok(vec![String::from("x")]));
    assert_eq!(from.list("../data"), Ok(vec![]));
    assert_eq!(from.list("gone"), Err(DiskError::NotFound));
}

#[test]
fn paths_are_resolved_as_the_kernel_does() {
    assert_eq!(resolve("home/lab", "redis.conf"), "home/lab/redis.conf");
    assert_eq!(resolve("home/lab", "./a/../b//c"), "home/lab/b/c");
    assert_eq!(resolve("home/lab", "/etc/redis.conf"), "etc/redis.conf");
    assert_eq!(resolve("home", "../../.."), "");
}
