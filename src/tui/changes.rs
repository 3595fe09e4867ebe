//! What the last step changed: keys that are new, other than before, or gone, and what took them.

use super::model::{KeyAt, Mark, Model, Scene, keys};
use crate::snapshot::Key;
use std::collections::BTreeMap;

/// Sets the model's marks from the difference between its scene and `after`. `step`: earlier marks end here; else (time
/// passed) they stay and new ones join them.
pub fn mark(model: &mut Model, after: &Scene, step: bool) {
    let before: BTreeMap<KeyAt, &Key> = keys(&model.scene.world).collect();
    let now: BTreeMap<KeyAt, &Key> = keys(&after.world).collect();
    let mut marks =
        if step || model.scene.lesson.id != after.lesson.id { BTreeMap::new() } else { model.marks.clone() };
    for (at, key) in &now {
        match before.get(at) {
            None => {
                marks.insert(at.clone(), Mark::New);
            }
            Some(old) if differs(old, key) => {
                if marks.get(at) != Some(&Mark::New) {
                    marks.insert(at.clone(), Mark::Changed);
                }
            }
            Some(_) => {}
        }
    }
    for at in before.keys().filter(|at| !now.contains_key(*at)) {
        let taken_by = after
            .writes
            .iter()
            .rev()
            .find(|write| (&write.instance, write.db, &write.key) == (&at.0, at.1, &at.2))
            .map_or(String::new(), |write| write.event.clone());
        marks.insert(at.clone(), Mark::Gone(taken_by));
    }
    model.marks = marks;
}

/// A TTL that only ran down is no change, nor is another encoding.
fn differs(old: &Key, new: &Key) -> bool {
    old.value != new.value || old.expires_at != new.expires_at || old.kind != new.kind || old.length != new.length
}

/// How a mark is said in a word.
pub fn mark_word(mark: &Mark) -> String {
    match mark {
        Mark::New => "new".to_owned(),
        Mark::Changed => "changed".to_owned(),
        Mark::Gone(event) => match event.as_str() {
            "expired" => "expired".to_owned(),
            "evicted" => "evicted".to_owned(),
            "" => "gone".to_owned(),
            _ => "deleted".to_owned(),
        },
    }
}
