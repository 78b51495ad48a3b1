//! Which queries are worked on together, and by whom.

use crate::format::Description;
use crate::layout::Layout;
use crate::parallel::share;
use core::ops::Range;

/// One chunk of tokens in one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) layer: usize,
    /// Position of the chunk's first token.
    pub(crate) position: usize,
    pub(crate) tokens: usize,
    /// Rotated and scaled queries, rotated keys, values: `[tokens][stride]`.
    pub(crate) qkv: &'a [f32],
    pub(crate) stride: usize,
}

/// What every worker knows about the attention of a chunk.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) chunk: Chunk<'a>,
    pub(super) kv_heads: usize,
    /// Queries that share a key/value head.
    pub(super) group: usize,
    /// Width of a head.
    pub(super) width: usize,
    /// Positions that a token sees, 0 for all.
    pub(super) window: usize,
    /// Tokens worked on together.
    pub(super) tile: usize,
    /// Queries of a token and key/value head worked on together.
    pub(super) members: usize,
    /// Key/value heads worked on together.
    pub(super) heads: usize,
}

impl<'a> Plan<'a> {
    /// Of `kv_heads` of the model's heads.
    pub(super) fn new(description: &Description, layout: &Layout, chunk: Chunk<'a>, kv_heads: usize) -> Self {
        let group = description.heads as usize / description.kv_heads as usize;
        let tile = (layout.queries / group).max(1);
        Self {
            chunk,
            kv_heads,
            group,
            width: description.head_width as usize,
            window: description.window as usize,
            tile,
            members: group.min(layout.queries),
            heads: layout.queries / (group * chunk.tokens.min(tile)),
        }
    }

    /// Tiles of tokens in the chunk.
    pub(super) fn tiles(&self) -> usize {
        self.chunk.tokens.div_ceil(self.tile)
    }

    /// In how many units `workers` share out the work: tiles of each key/value head, or of a single tile its queries.
    pub(super) fn units(&self, workers: usize) -> usize {
        if self.tiles() > 1 { self.tiles() * self.kv_heads } else { workers.min(self.group * self.kv_heads) }
    }

    /// The queries of unit `unit` of `units`. Of tiles in order of their tokens: who takes the first, which see least,
    /// is free the sooner for others.
    pub(super) fn each(&self, unit: usize, units: usize, visit: &mut dyn FnMut(&Queries<'a>)) {
        let (tokens, group, kv_heads) = (self.chunk.tokens, self.group, self.kv_heads);
        if self.tiles() > 1 {
            let first = unit / kv_heads * self.tile;
            return self.members(first..tokens.min(first + self.tile), unit % kv_heads, 0..group, visit);
        }
        let own = share(kv_heads * group, unit, units);
        let mut next = own.start;
        while next < own.end {
            let (kv_head, member) = (next / group, next % group);
            // Whole key/value heads together: what one head's steps wait for, the others' fill.
            let whole = if member == 0 { ((own.end - next) / group).min(self.heads) } else { 0 };
            if whole > 0 {
                visit(&Queries {
                    plan: *self,
                    tokens: 0..tokens,
                    kv_heads: kv_head..kv_head + whole,
                    members: 0..group,
                });
                next += whole * group;
            } else {
                let members = member..group.min(member + own.end - next);
                next += members.len();
                self.members(0..tokens, kv_head, members, visit);
            }
        }
    }

    /// Those queries of one key/value head, as many at a time as are worked on together.
    pub(super) fn members(
        &self,
        tokens: Range<usize>,
        kv_head: usize,
        members: Range<usize>,
        visit: &mut dyn FnMut(&Queries<'a>),
    ) {
        for first in members.clone().step_by(self.members) {
            let members = first..members.end.min(first + self.members);
            visit(&Queries { plan: *self, tokens: tokens.clone(), kv_heads: kv_head..kv_head + 1, members });
        }
    }
}

/// Queries of some tokens that share one key/value head, or all of some tokens that share one of several.
pub(super) struct Queries<'a> {
    pub(super) plan: Plan<'a>,
    pub(super) tokens: Range<usize>,
    pub(super) kv_heads: Range<usize>,
    /// Which of the queries that share a head.
    pub(super) members: Range<usize>,
}

/// Those of one token that share a head: neighbours in every array.
pub(super) struct Run {
    /// Which of the queries.
    pub(super) numbers: Range<usize>,
    /// Their key/value head in the cache.
    pub(super) head: usize,
    /// Which of the queries' tokens.
    pub(super) token: usize,
    /// Their columns, one query's after the other's.
    pub(super) columns: Range<usize>,
}

impl<'a> Queries<'a> {
    /// The heads' numbers in the cache, each with its queries' numbers.
    pub(super) fn heads(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (first, each) =
            (self.plan.chunk.layer * self.plan.kv_heads + self.kv_heads.start, self.of_head());
        (0..self.kv_heads.len()).map(move |head| (first + head, head * each..(head + 1) * each))
    }

    /// Queries of each head.
    pub(super) fn of_head(&self) -> usize {
        self.tokens.len() * self.members.len()
    }

    pub(super) fn count(&self) -> usize {
        self.kv_heads.len() * self.of_head()
    }

    /// Columns of all these queries, and of their outputs.
    pub(super) fn columns(&self) -> Range<usize> {
        let (group, width) = (self.plan.group, self.plan.width);
        let start = (self.kv_heads.start * group + self.members.start) * width;
        let end = ((self.kv_heads.end - 1) * group + self.members.end) * width;
        start..end
    }

    /// Visits all, in order of their numbers.
    #[inline(always)]
    pub(super) fn each(&self, mut visit: impl FnMut(Run)) {
        let Plan { chunk, width, group, kv_heads, .. } = self.plan;
        let mut first = 0;
        for kv_head in self.kv_heads.clone() {
            let head = chunk.layer * kv_heads + kv_head;
            let columns =
                (kv_head * group + self.members.start) * width..(kv_head * group + self.members.end) * width;
            for token in 0..self.tokens.len() {
                let numbers = first..first + self.members.len();
                first = numbers.end;
                visit(Run { numbers, head, token, columns: columns.clone() });
            }
        }
    }

    /// Visits those that see anything of `span`, with what they see of it.
    #[inline(always)]
    pub(super) fn each_seeing(&self, span: &Range<usize>, mut visit: impl FnMut(Run, Range<usize>)) {
        self.each(
            #[inline(always)]
            |run| {
                let seen = self.seen(run.token);
                let seen = seen.start.max(span.start)..seen.end.min(span.end);
                if !seen.is_empty() {
                    visit(run, seen);
                }
            },
        );
    }

    /// The elements of the queries of `run`, `[queries][width]`.
    #[inline(always)]
    pub(super) fn elements(&self, run: &Run) -> &'a [f32] {
        let chunk = self.plan.chunk;
        &chunk.qkv[(self.tokens.start + run.token) * chunk.stride..][run.columns.clone()]
    }

    /// The positions that `token` sees.
    pub(super) fn seen(&self, token: usize) -> Range<usize> {
        let end = self.plan.chunk.position + self.tokens.start + token + 1;
        let start = if self.plan.window == 0 { 0 } else { end.saturating_sub(self.plan.window) };
        start..end
    }
}
