import { pieces } from '../visible'

/** A text of an event. Characters that nobody would see are shown by their codes, and its direction stays inside. */
export function Visible({ children, multiline = false }: { children: string; multiline?: boolean }) {
  const parts = pieces(children, multiline)
  const [only] = parts
  if (parts.length === 1 && only?.text !== undefined) return <bdi>{only.text}</bdi>
  return <bdi>{parts.map((part) => (part.code === undefined ? part.text : <span class="code-point">{part.code}</span>))}</bdi>
}
