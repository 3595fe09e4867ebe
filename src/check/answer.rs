//! `answer`: a question of the exercise that the learner has answered.

use super::form::{Reader, field};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict};

pub const ANSWER: Kind = Kind {
    name: "answer",
    about: "What the learner answered to the exercise's question with `:answer`.",
    fields: &[
        field("question", "ID", "which question; needed if the exercise has several"),
        field("right", "true | false", "whether the answer is the true one (true)"),
        field("choice", "N", "this choice, counted from 1"),
    ],
    example: "answer: {right: true}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`answer`", kind.fields)?;
        let question = match (fields.get("question"), reader.names.questions.as_slice()) {
            (Some(node), _) => reader.question(node)?,
            (None, [only]) => only.clone(),
            (None, []) => {
                reader.complain(
                    node.at,
                    "this exercise asks no question",
                    "predict: {ask: ..., choices: [...], right: 1}",
                );
                return None;
            }
            (None, several) => {
                let names = several.join(", ");
                reader.complain(node.at, "say which question", format!("question: one of {names}"));
                return None;
            }
        };
        let choice = reader.maybe(&fields, "choice", |reader, node| reader.number(node, "a choice"))?;
        let right = reader.maybe(&fields, "right", Reader::flag)?.or(choice.is_none().then_some(true));
        Some(Assertion::of(AnswerCheck { question, right, choice }))
    },
};

#[derive(Clone, Debug)]
struct AnswerCheck {
    question: String,
    right: Option<bool>,
    choice: Option<usize>,
}

impl Check for AnswerCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(answer) = probe.answer(&self.question) else {
            return Verdict::new(false, "The question is not answered yet: `:answer` and the number of your choice.");
        };
        let met = self.right.is_none_or(|wanted| wanted == answer.right)
            && self.choice.is_none_or(|wanted| Some(wanted) == answer.choice);
        Verdict::new(met, format!("You answered `{}`.", answer.said))
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Question(self.question.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}
