//! What a recurrent description means, written a second time: plain f64 loops over one element after the other.

use super::Vector;
use whit::format::{Cell, Direction, Normalization, Recurrent, Role, Tensors};
use whit::quant::row_to_f32;

struct Oracle<'a> {
    r: &'a Recurrent,
    tensors: &'a Tensors<'a>,
}

/// The embedding rows of `ids`.
pub fn embedded(r: &Recurrent, tensors: &Tensors<'_>, ids: &[u32]) -> Vec<Vector> {
    let oracle = Oracle { r, tensors };
    ids.iter().map(|&id| oracle.row(Role::Embedding, 0, id as usize)).collect()
}

/// What comes out for every one of the vectors that go in: a whole sequence from its beginning.
pub fn outputs(r: &Recurrent, tensors: &Tensors<'_>, inputs: &[Vector]) -> Vec<Vector> {
    let oracle = Oracle { r, tensors };
    let mut vectors = inputs.to_vec();
    for layer in 0..r.layers as usize {
        let forward = || oracle.read(layer, 0, vectors.iter());
        let reverse = |direction| {
            let mut states = oracle.read(layer, direction, vectors.iter().rev());
            states.reverse();
            states
        };
        vectors = match r.direction {
            Direction::Forward => forward(),
            Direction::Reverse => reverse(0),
            Direction::Both => forward().into_iter().zip(reverse(1)).map(|(a, b)| [a, b].concat()).collect(),
        };
    }
    vectors.iter().map(|vector| oracle.head(vector)).collect()
}

impl Oracle<'_> {
    fn read<'v>(
        &self,
        layer: usize,
        direction: usize,
        inputs: impl Iterator<Item = &'v Vector>,
    ) -> Vec<Vector> {
        let mut h = vec![0.0; self.r.state(layer)];
        let mut c = vec![0.0; self.r.hidden(layer)];
        inputs
            .map(|x| {
                h = self.step(layer, direction, x, &h, &mut c);
                h.clone()
            })
            .collect()
    }

    fn step(&self, layer: usize, direction: usize, x: &Vector, h: &Vector, c: &mut Vector) -> Vector {
        let role = |forward: Role, reverse: Role| [forward, reverse][direction];
        let hidden = self.r.hidden(layer);
        let state = role(Role::RecurrentHidden, Role::RecurrentHiddenReverse);
        let candidate = role(Role::RecurrentCandidate, Role::RecurrentCandidateReverse);
        // The input's part and the state's part of gate `gate` of element `i`.
        let own = |gate: usize, i: usize| {
            let row = (direction * self.r.cell.gates() + gate) * hidden + i;
            dot(&self.row(Role::RecurrentInput, layer, row), x)
                + self.number(Role::RecurrentInputBias, layer, row)
        };
        let fed = |gate: usize, i: usize| dot(&self.row(state, layer, gate * hidden + i), h);
        match self.r.cell {
            Cell::Tanh => (0..hidden).map(|i| (own(0, i) + fed(0, i)).tanh()).collect(),
            Cell::Relu => (0..hidden).map(|i| (own(0, i) + fed(0, i)).max(0.0)).collect(),
            Cell::Lstm => {
                let gate = |gate: usize, i: usize| own(gate, i) + fed(gate, i);
                for (i, c) in c.iter_mut().enumerate() {
                    *c = sigmoid(gate(1, i)) * *c + sigmoid(gate(0, i)) * gate(2, i).tanh();
                }
                let y: Vector = (0..hidden).map(|i| sigmoid(gate(3, i)) * c[i].tanh()).collect();
                let projection = role(Role::RecurrentProjection, Role::RecurrentProjectionReverse);
                let projected = |i: usize| dot(&self.row(projection, layer, i), &y);
                if self.r.projected { (0..h.len()).map(projected).collect() } else { y }
            }
            Cell::GruResetAfter => (0..hidden)
                .map(|i| {
                    let [z, r] = [0, 1].map(|gate| sigmoid(own(gate, i) + fed(gate, i)));
                    let bias = self.number(Role::RecurrentCandidateBias, layer, direction * hidden + i);
                    let n = (own(2, i) + r * (fed(2, i) + bias)).tanh();
                    (1.0 - z) * n + z * h[i]
                })
                .collect(),
            Cell::GruResetBefore => {
                let reset: Vector = (0..hidden).map(|i| sigmoid(own(1, i) + fed(1, i)) * h[i]).collect();
                (0..hidden)
                    .map(|i| {
                        let z = sigmoid(own(0, i) + fed(0, i));
                        let n = (own(2, i) + dot(&self.row(candidate, layer, i), &reset)).tanh();
                        (1.0 - z) * n + z * h[i]
                    })
                    .collect()
            }
        }
    }

    fn head(&self, vector: &Vector) -> Vector {
        let role = if self.r.tied { Role::Embedding } else { Role::Head };
        let row = |row: usize| dot(&self.row(role, 0, row), vector) + self.number(Role::HeadBias, 0, row);
        let out: Vector =
            if self.r.head == 0 { vector.clone() } else { (0..self.r.head as usize).map(row).collect() };
        match self.r.normalization {
            Normalization::None => out,
            Normalization::Sigmoid => out.into_iter().map(sigmoid).collect(),
            Normalization::Softmax => {
                let sum: f64 = out.iter().map(|v| v.exp()).sum();
                out.iter().map(|v| v.exp() / sum).collect()
            }
        }
    }

    fn row(&self, role: Role, layer: usize, row: usize) -> Vector {
        let matrix = self.tensors.matrix(role, layer).expect("the model has it");
        let mut numbers = vec![0.0; matrix.cols()];
        row_to_f32(&matrix, row, &mut numbers);
        numbers.into_iter().map(f64::from).collect()
    }

    /// One number of a bias; 0 where the model has none.
    fn number(&self, role: Role, layer: usize, at: usize) -> f64 {
        self.tensors.vector(role, layer).get(at).map_or(0.0, |&number| number.into())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
