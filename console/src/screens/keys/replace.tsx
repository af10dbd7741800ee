import { useState } from 'preact/hooks'
import { Confirm } from '../../components/confirm'
import { Fact } from '../../components/fact'
import { Choice } from '../../components/field'
import { ShownOnce } from '../../components/once'
import { Visible } from '../../components/visible'
import type { ApiKey, IssuedKey } from '../../contract'
import { useAccess } from '../../key'
import { currentTemporary, forget, signIn } from '../../session'
import * as said from '../../text/keys'
import { words } from '../../text/keys'

const GRACES = [0, 300, 3_600, 86_400, 604_800]

interface ReplaceProps {
  old: ApiKey
  onClose: () => void
}

/** A new token for the same rights. If it is the key of this tab, the tab goes on with the new one. */
export function RotateKey({ old, onClose }: ReplaceProps) {
  const { api, key: own } = useAccess()
  const [grace, setGrace] = useState(3_600)
  const [made, setMade] = useState<IssuedKey>()
  const isOwn = old.id === own.id
  if (made) {
    const done = () => (isOwn ? signIn({ token: made.token, temporary: currentTemporary() }) : onClose())
    return (
      <ShownOnce title={words.rotatedTitle} secrets={[[words.token, made.token]]} onClose={done}>
        <p class="hint">{said.rotated(old.id, made.id, grace)}</p>
      </ShownOnce>
    )
  }
  const act = async () => setMade(await api.keys.rotate.mutate({ keyId: old.id, graceSeconds: grace }))
  return (
    <Confirm title={words.rotateTitle} yes={words.rotate} act={act} onClose={onClose}>
      <Which of={old} />
      <p>{words.rotateLead}</p>
      {isOwn && <p class="notice warn">{words.rotateOwn}</p>}
      <Grace label={words.grace} times={GRACES} chosen={grace} onChoose={setGrace} />
    </Confirm>
  )
}

interface GraceProps {
  label: string
  times: number[]
  chosen: number
  onChoose: (seconds: number) => void
}

/** For how long an old key or secret is still good. */
export function Grace({ label, times, chosen, onChoose }: GraceProps) {
  const options = times.map((time) => [time, time ? said.after(time) : words.atOnce] as const)
  return <Choice label={label} value={chosen} options={options} onChoose={(time) => onChoose(Number(time))} />
}

/** The end of a key. If it is the key of this tab, the tab signs out. */
export function RevokeKey({ old, onClose }: ReplaceProps) {
  const { api, key: own } = useAccess()
  const isOwn = old.id === own.id
  const act = async () => {
    await api.keys.revoke.mutate({ keyId: old.id })
    if (isOwn) forget('out')
    else onClose()
  }
  return (
    <Confirm title={words.revokeTitle} yes={words.revoke} danger act={act} onClose={onClose}>
      <Which of={old} />
      <p>{words.revokeLead}</p>
      {isOwn && <p class="notice warn">{words.revokeOwn}</p>}
    </Confirm>
  )
}

function Which({ of }: { of: ApiKey }) {
  return (
    <dl class="facts">
      <Fact name={words.id} class="mono">{of.id}</Fact>
      <Fact name={words.user}>
        <Visible>{of.userId}</Visible>
      </Fact>
      <Fact name={words.scopes}>{of.scopes.join(', ')}</Fact>
    </dl>
  )
}
