//! Grey images in PNG files: just what sample digits need. Format: W3C, "Portable Network Graphics", 2nd edition.

/// The first channel of an image that is not interlaced, `[height][width]`, 0 to 255.
pub(crate) fn read(bytes: &[u8]) -> (usize, Vec<u8>) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let (mut at, mut packed, mut palette, mut header) = (8, Vec::new(), Vec::new(), &bytes[..0]);
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        let data = &bytes[at + 8..at + 8 + len];
        match &bytes[at + 4..at + 8] {
            b"IHDR" => header = data,
            b"PLTE" => palette = data.chunks_exact(3).map(|colour| colour[0]).collect(),
            b"IDAT" => packed.extend(data),
            _ => {}
        }
        at += len + 12;
    }
    let width = u32::from_be_bytes(header[..4].try_into().expect("four bytes")) as usize;
    let (depth, interlaced) = (usize::from(header[8]), header[12]);
    let channels = match header[9] {
        0 | 3 => 1,
        4 => 2,
        2 => 3,
        6 => 4,
        kind => panic!("colour type {kind}"),
    };
    assert!(interlaced == 0 && (depth == 8 || depth < 8 && channels == 1), "depth {depth}");
    let rows = miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("deflated rows");
    let rows = unfilter(&rows, (width * channels * depth).div_ceil(8), channels);
    let pixel = |row: &[u8], x: usize| {
        let byte = row[x * channels * depth / 8];
        let value = byte >> (8 - depth - x * depth % 8) & (0xff >> (8 - depth));
        if palette.is_empty() { value * (255 / (0xff >> (8 - depth))) } else { palette[usize::from(value)] }
    };
    let pixels = rows.iter().flat_map(|row| (0..width).map(|x| pixel(row, x)).collect::<Vec<u8>>());
    (width, pixels.collect())
}

/// Rows of `len` bytes, each behind the number of its filter; `step` bytes from one pixel to the next.
fn unfilter(bytes: &[u8], len: usize, step: usize) -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> = Vec::new();
    for filtered in bytes.chunks_exact(len + 1) {
        let above = rows.last().cloned().unwrap_or_else(|| vec![0; len]);
        let mut row = vec![0; len];
        for i in 0..len {
            let left = if i < step { 0 } else { i32::from(row[i - step]) };
            let (up, corner) = (i32::from(above[i]), if i < step { 0 } else { i32::from(above[i - step]) });
            let guess = match filtered[0] {
                0 => 0,
                1 => left,
                2 => up,
                3 => (left + up) / 2,
                4 => {
                    let estimate = left + up - corner;
                    [left, up, corner].into_iter().min_by_key(|x| (estimate - x).abs()).expect("three")
                }
                filter => panic!("filter {filter}"),
            };
            row[i] = filtered[i + 1].wrapping_add(guess as u8);
        }
        rows.push(row);
    }
    rows
}
