//! From a definition to a tokenizer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::Tokenizer;
use super::inference::{Across, Inference};
use super::special::{Allowed, check_contents, matchers};
use crate::encode::{CharTable, Model, Units, WholePieces, byte_table};
use crate::error::{Error, Result};
use crate::header::{Header, Unit};
use crate::merges::{Merge, Merges};
use crate::normalize::{self, Normalizer};
use crate::pretokenize::Pretokenizer;
use crate::token::Kind;
use crate::vocab::Vocab;

/// The parts of a definition, as flat tables.
#[derive(Debug)]
pub struct Definition {
    pub header: String,
    pub arena: Vec<u8>,
    pub offsets: Vec<u32>,
    pub kinds: Vec<u8>,
    pub merges: Vec<Merge>,
}

impl Tokenizer {
    /// Builds a tokenizer from its definition.
    pub fn new(definition: Definition) -> Result<Tokenizer> {
        let Definition { header, arena, offsets, kinds, merges } = definition;
        let header = Header::parse(&header)?;
        let vocab = Vocab::new(arena, offsets, kinds)?;
        let (merges, across) = parted(merges, &header.supermerges)?;
        let merges = Merges::new(&merges, vocab.len())?;
        let inference = match &header.replay {
            Some(replay) if across.is_empty() => {
                Inference::replay(replay, &vocab, &header.byte_units)?
            }
            Some(_) => return Err(Error::Definition("both replay and supermerges".into())),
            None if across.is_empty() => Inference::Ranks,
            None => Across::by_rank(Merges::new(&across, vocab.len())?),
        };
        let model = model(&header, vocab, merges)?;
        for token in &header.added {
            model.vocab.token_bytes(token.id)?;
        }
        let foreign = foreign_bytes(&header, &model.units);
        let is_prefix = |step: &&normalize::Step| matches!(step, normalize::Step::Prefix { .. });
        let (prefix, steps): (Vec<_>, Vec<_>) = header.normalizer.iter().partition(is_prefix);
        let owned = |steps: Vec<&normalize::Step>| -> Vec<normalize::Step> {
            steps.into_iter().cloned().collect()
        };
        let normalizer = Normalizer::new(&owned(steps))?;
        let (_, inner): (Vec<_>, Vec<_>) = header.normalizer.iter().partition(|step| step.opens());
        let keeps_words = inner.iter().all(|step| step.cuts_at_words());
        check_contents(&header.added, &normalizer)?;
        let always = Arc::new(matchers(&header.added, &normalizer, &Allowed::None)?);
        Ok(Tokenizer {
            model,
            prefixer: Normalizer::new(&owned(prefix))?,
            pretokenizer: Pretokenizer::new(&header.pretokenizer)?,
            normalizer,
            inference,
            inner: Normalizer::new(&owned(inner))?,
            keeps_words,
            added: header.added,
            decoder: header.decoder,
            unknown: header.unk,
            foreign,
            always,
            chosen: Mutex::default(),
            scratches: Mutex::default(),
        })
    }
}

/// Merges inside pieces, and those that join pieces, each in rank order.
fn parted(merges: Vec<Merge>, across: &[u32]) -> Result<(Vec<Merge>, Vec<Merge>)> {
    if across.is_empty() {
        return Ok((merges, Vec::new()));
    }
    let ranks: HashSet<u32> = across.iter().copied().collect();
    if let Some(rank) = across.iter().find(|&&rank| rank as usize >= merges.len()) {
        let count = merges.len();
        return Err(Error::Definition(format!("supermerge {rank}: there are {count} merges")));
    }
    let (inside, beyond): (Vec<_>, Vec<_>) =
        (0..).zip(merges).partition(|(rank, _)| !ranks.contains(rank));
    let merge = |(_, merge): (u32, Merge)| merge;
    Ok((inside.into_iter().map(merge).collect(), beyond.into_iter().map(merge).collect()))
}

fn foreign_bytes(header: &Header, units: &Units) -> Option<Box<[bool; 256]>> {
    let Units::Bytes { first, .. } = units else { return None };
    let foreign = Box::new(first.each_ref().map(|&id| id == u32::MAX));
    (header.strict && foreign.contains(&true)).then_some(foreign)
}

fn model(header: &Header, vocab: Vocab, merges: Merges) -> Result<Model> {
    let size = vocab.len();
    if let Some(unknown) = header.unk {
        vocab.token_bytes(unknown)?;
    }
    let bytes = byte_table(&header.byte_units, size, "byte_units")?;
    let unknown = header.unk.unwrap_or(u32::MAX);
    let units = match header.unit {
        Unit::Byte => {
            let known = |mut table: Box<[u32; 256]>| {
                table.iter_mut().filter(|id| **id == u32::MAX).for_each(|id| *id = unknown);
                table
            };
            let last = match &header.final_byte_units {
                Some(ids) => Some(known(byte_table(ids, size, "final_byte_units")?)),
                None => None,
            };
            Units::Bytes { first: known(bytes), last }
        }
        Unit::Char => {
            let single = |id: u32| {
                let kind = vocab.kind(id);
                let usable = kind.has(Kind::MODEL) && !kind.has(Kind::BYTE);
                let bytes = vocab.token_bytes(id).ok().filter(|_| usable)?;
                Some((crate::encode::single_char(bytes)?, id))
            };
            let chars = CharTable::new((0..size as u32).filter_map(single));
            Units::Chars { chars, bytes, unknown }
        }
    };
    let whole_pieces = match header.ignore_merges {
        true => WholePieces::AreTokens,
        false => WholePieces::AreMerged,
    };
    // With a byte token for every byte, no character is unknown and none can be joined.
    let spelled = header.unit == Unit::Char && !header.byte_units.contains(&-1);
    let fused = header.unk.filter(|_| header.fuse_unk && !spelled);
    Model::new(vocab, merges, units, whole_pieces, fused)
        .with_unreachable(header.unreachable.as_deref())
}
