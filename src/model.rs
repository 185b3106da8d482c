//! A model: what it is called, what scopes can name it by, and what it costs.

use serde::{Deserialize, Serialize};

use crate::meter::Meter;
use crate::rate::Rate;

/// What a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text, priced by tokens in the published catalog.
    Text,
    /// Images, priced by the image.
    Image,
    /// Video, priced by the second.
    Video,
    /// Audio, priced by the use.
    Audio,
}

/// The tag of every model that makes more than text.
const MULTIMODAL: &str = "multimodal";

impl Modality {
    /// Every modality, in order.
    pub const ALL: [Modality; 4] = [
        Modality::Text,
        Modality::Image,
        Modality::Video,
        Modality::Audio,
    ];

    /// The modality as callers write it, which is a tag too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::Video => "video",
            Modality::Audio => "audio",
        }
    }

    /// The modality of this name, if there is one.
    pub fn parse(name: &str) -> Option<Modality> {
        Modality::ALL
            .into_iter()
            .find(|modality| modality.as_str() == name)
    }

    /// The tags that a model has for what it makes: the modality, and `multimodal` for all but text.
    pub fn tags(self) -> impl Iterator<Item = &'static str> {
        let multimodal = (self != Modality::Text).then_some(MULTIMODAL);
        [self.as_str()].into_iter().chain(multimodal)
    }
}

/// A model of a catalog with all its rates, as holds keep it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it makes.
    pub modality: Modality,
    /// The tags that the catalog gives it beside those of its modality, such as `advanced`.
    #[serde(rename = "tags")]
    pub own_tags: Vec<String>,
    /// Its rates. A meter is in at most one of them.
    pub rates: Vec<Rate>,
}

impl Model {
    /// Everything that a scope can name the model by: its own tags, then those of its modality.
    pub fn tags(&self) -> impl Iterator<Item = &str> + '_ {
        let own_tags = self.own_tags.iter().map(String::as_str);
        own_tags.chain(self.modality.tags().map(|tag| -> &str { tag }))
    }

    /// Whether credits of this scope pay for the model: any of its tags is among them.
    pub fn is_covered_by(&self, scope: &[String]) -> bool {
        self.tags()
            .any(|tag| scope.iter().any(|named| named == tag))
    }

    /// The rate of a meter, if the model has one.
    pub fn rate(&self, meter: Meter) -> Option<&Rate> {
        self.rates
            .iter()
            .find(|rate| rate.meters().contains(&meter))
    }

    /// The meters that the model prices, in their order.
    pub fn meters(&self) -> impl Iterator<Item = Meter> + '_ {
        Meter::ALL
            .into_iter()
            .filter(|meter| self.rate(*meter).is_some())
    }
}
