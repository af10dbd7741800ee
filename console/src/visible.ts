/**
 * Makes characters visible that nobody would see, or that change the order in which others are shown. Whatever an event
 * contains goes through here before it is shown.
 */

/** A part of a text: as it is, or a character that is shown by its code. */
export type Piece = { text: string; code?: never } | { code: string; text?: never }

/** Controls, formats, separators, lone surrogates and unassigned characters, and others that are blank in any font. */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0\u{e0100}-\u{e01ef}]/u

/** An emoji of several characters, whose joiners and selectors are part of what is seen. */
const EMOJI = /\p{Extended_Pictographic}\p{Emoji_Modifier}?\ufe0f?(?:\u200d\p{Extended_Pictographic}\p{Emoji_Modifier}?\ufe0f?)*/u

const SPLIT = new RegExp(`(${EMOJI.source})|(${HIDDEN.source})`, 'gu')

/** The pieces of a text. Line breaks and tabs stay in `multiline` text, where they are seen. */
export function pieces(text: string, multiline = false): Piece[] {
  if (!HIDDEN.test(text)) return [{ text }]
  const found: Piece[] = []
  let start = 0
  for (const match of text.matchAll(SPLIT)) {
    const hidden = match[2]
    if (hidden === undefined || (multiline && (hidden === '\n' || hidden === '\t'))) continue
    if (match.index > start) found.push({ text: text.slice(start, match.index) })
    found.push({ code: codeOf(hidden) })
    start = match.index + hidden.length
  }
  if (start < text.length) found.push({ text: text.slice(start) })
  return found
}

/** The same as one text, for attributes: `a⟨U+202E⟩b`. */
export function visible(text: string): string {
  return pieces(text).map((piece) => piece.text ?? `⟨${piece.code}⟩`).join('')
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}
