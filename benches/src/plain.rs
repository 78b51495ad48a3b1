//! Matrix × vector as llama2.c writes it, in Rust, for comparison: `run.c` with f32, `runq.c` with int8 in groups that have a
//! scale in the weights and one in the vector. What `rustc -O` makes of loops over slices that are as long as they must be;
//! sums of f32 stay in order, as with C's `-O3`.
//!
//! Firmware includes this file.

/// Columns that share a scale, as `export.py` of llama2.c has it for small models.
pub const GROUP: usize = 32;

/// `out[r] = Σ w[r, c] · x[c]`, row-major.
#[inline(never)]
pub fn matmul_f32(out: &mut [f32], w: &[f32], x: &[f32]) {
    for (out, row) in out.iter_mut().zip(w.chunks_exact(x.len())) {
        *out = row.iter().zip(x).map(|(w, x)| w * x).sum();
    }
}

/// `out[r] = Σ_g (f32)(Σ_{c in g} w[r, c] · x[c]) · ws[r, g] · xs[g]`, row-major.
#[inline(never)]
pub fn matmul_q8(out: &mut [f32], (w, ws): (&[i8], &[f32]), (x, xs): (&[i8], &[f32])) {
    let rows = w.chunks_exact(x.len()).zip(ws.chunks_exact(xs.len()));
    for (out, (w, ws)) in out.iter_mut().zip(rows) {
        let groups = w.as_chunks::<GROUP>().0.iter().zip(x.as_chunks::<GROUP>().0);
        let scales = ws.iter().zip(xs);
        *out = groups
            .zip(scales)
            .map(|((w, x), (ws, xs))| {
                let sum: i32 = w.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
                sum as f32 * ws * xs
            })
            .sum();
    }
}
