//! Sizes of the sections of a 32-bit program.

/// What a program takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Bytes of flash: code and constants.
    pub(super) flash: u64,
    /// Bytes of RAM for statics; the stack and what the linker script leaves free are none.
    pub(super) statics: u64,
}

/// The sizes of a 32-bit, little-endian ELF file; `None` if it is none.
pub(super) fn sizes(elf: &[u8]) -> Option<Sizes> {
    let word = |at: usize| Some(u32::from_le_bytes(*elf.get(at..)?.first_chunk()?) as usize);
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?)));
    if !elf.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let (table, entry, count, names) = (word(32)?, half(46)?, half(48)?, half(50)?);
    let names = word(table + names * entry + 16)?;
    let mut sizes = Sizes::default();
    for section in (0..count).map(|i| table + i * entry) {
        let name = elf.get(names + word(section)?..)?;
        let size = word(section + 20)? as u64;
        match name.split(|&byte| byte == 0).next()? {
            b".vector_table" | b".text" | b".rodata" => sizes.flash += size,
            b".data" | b".bss" | b".uninit" => sizes.statics += size,
            _ => (),
        }
    }
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these sections and nothing in them.
    fn program(sections: &[(&str, u32)]) -> Vec<u8> {
        let names: Vec<u8> =
            sections.iter().flat_map(|(name, _)| [name.as_bytes(), b"\0"].concat()).collect();
        let table = 52 + names.len() as u32;
        let mut elf = vec![0; 52];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[32..36].copy_from_slice(&table.to_le_bytes());
        elf[46..48].copy_from_slice(&40u16.to_le_bytes());
        elf[48..50].copy_from_slice(&(sections.len() as u16).to_le_bytes());
        elf.extend(&names);
        let mut name = 0u32;
        for (text, size) in sections {
            let mut header = [0; 40];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[16..20].copy_from_slice(&52u32.to_le_bytes());
            header[20..24].copy_from_slice(&size.to_le_bytes());
            elf.extend(header);
            name += text.len() as u32 + 1;
        }
        elf
    }

    #[test]
    fn code_and_statics_are_counted_and_the_rest_is_not() {
        let elf =
            program(&[(".text", 1000), (".rodata", 200), (".bss", 30), (".stack", 9000), (".symtab", 7)]);
        assert_eq!(sizes(&elf), Some(Sizes { flash: 1200, statics: 30 }));
    }

    #[test]
    fn what_is_no_program_or_cut_off_has_no_sizes() {
        assert_eq!(sizes(b"#!/bin/sh"), None);
        let elf = program(&[(".text", 1000)]);
        assert!((6..elf.len() - 16).all(|len| sizes(&elf[..len]).is_none()));
    }
}
