//! Calls that go to their account's object together: scripts/worker/lane.js. They are carried out one after another, each
//! as if it had come by itself.

use crate::frames::Parts;
use crate::object::Account;
use crate::request::Request;

impl Account {
    /// Answers calls, each of a head and a body, with as many answers.
    pub(crate) async fn serve_together(&self, calls: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        let mut parts = Parts(calls);
        while let (Some(Some(head)), Some(body)) = (parts.next(), parts.next()) {
            let head = String::from_utf8_lossy(head);
            let request = Request::read(&head, body.map(<[u8]>::to_vec));
            self.reply_to(&request).await.push_to(&mut answers);
        }
        answers
    }
}
