import { useState } from 'preact/hooks'
import type { Scope } from '../../api'
import { Dialog } from '../../components/dialog'
import { Form } from '../../components/form'
import { Choice, Choices, TextField } from '../../components/field'
import { ShownOnce } from '../../components/once'
import { FailureNotice } from '../../components/states'
import type { CurrentKey, IssuedKey } from '../../contract'
import { grants, may, useAccess } from '../../key'
import { useAction } from '../../load'
import { words as text } from '../../text/common'
import * as said from '../../text/keys'
import { words } from '../../text/keys'
import { SCOPES } from './rights'

const FIELDS = ['userId', 'scopes', 'workspaces', 'expiresInSeconds', 'authors', 'authorRequired']
const DAY = 86_400
const SIGNING = [['', words.signDefault], ['must', words.signMust], ['may', words.signMay]] as const
const TIMES = [3_600, 8 * 3_600, DAY, 30 * DAY, 90 * DAY, 365 * DAY]

/** Make a key: a form, and then its token, once. */
export function NewKey({ onClose }: { onClose: () => void }) {
  const [made, setMade] = useState<IssuedKey>()
  if (!made) return <Rights onMade={setMade} onClose={onClose} />
  return (
    <ShownOnce title={words.madeTitle} secrets={[[words.token, made.token]]} onClose={onClose}>
      <p class="hint">{said.made(made.id)}</p>
    </ShownOnce>
  )
}

function Rights({ onMade, onClose }: { onMade: (key: IssuedKey) => void; onClose: () => void }) {
  const { api, key: own, workspace } = useAccess()
  const [userId, setUserId] = useState(own.userId)
  const [scopes, setScopes] = useState<Scope[]>(may(own, 'events:read') ? ['events:read'] : [])
  const [workspaces, setWorkspaces] = useState([workspace])
  const [seconds, setSeconds] = useState('')
  const [authors, setAuthors] = useState('')
  const [signing, setSigning] = useState('')
  const action = useAction(async () => {
    const expiresInSeconds = seconds ? Number(seconds) : undefined
    const dids = authors.split(/[\s,]+/).filter(Boolean)
    const bound = { authors: dids.length ? dids : undefined, authorRequired: signing ? signing === 'must' : undefined }
    onMade(await api.keys.create.mutate({ userId: userId || undefined, scopes, workspaces, expiresInSeconds, ...bound }))
  })
  const at = (path: string) => ({ paths: [path], failure: action.failure })
  return (
    <Dialog title={words.makeTitle} wide stays onClose={onClose}>
      <Form onSubmit={action.run} novalidate>
        <FailureNotice failure={action.failure} fields={FIELDS} />
        <Choices
          legend={words.scopes}
          hint={words.scopesHint}
          choices={SCOPES.filter((scope) => grants(own, scope)).map((value) => ({ value, means: said.scopeMeans[value] }))}
          chosen={scopes}
          onChange={(chosen) => setScopes(chosen as Scope[])}
          {...at('scopes')}
        />
        <Choices
          legend={words.workspaces}
          hint={words.workspacesHint}
          choices={workspaceChoices(own)}
          chosen={workspaces}
          onChange={setWorkspaces}
          {...at('workspaces')}
        />
        <div class="columns">
          <TextField label={words.user} hint={words.userHint} {...at('userId')} value={userId} onText={setUserId} />
          <Choice
            label={words.expiry}
            hint={own.expiresAt && words.expiryHint}
            {...at('expiresInSeconds')}
            value={seconds}
            options={[['', own.expiresAt ? words.withOwn : words.neverExpires], ...timesOf(own).map((time) => [time, said.after(time)] as const)]}
            onChoose={setSeconds}
          />
          <TextField label={words.authors} hint={words.authorsHint} {...at('authors')} value={authors} onText={setAuthors} />
          <Choice label={words.signing} {...at('authorRequired')} value={signing} options={SIGNING} onChoose={setSigning} />
        </div>
        <div class="actions end">
          <button type="button" class="button" onClick={onClose}>
            {text.cancel}
          </button>
          <button type="submit" class="button primary" disabled={action.running}>
            {words.makeIt}
          </button>
        </div>
      </Form>
    </Dialog>
  )
}

/** A key with every scope may be one for every workspace as well; the server says if it is not. */
function workspaceChoices(own: CurrentKey) {
  const every = may(own, '*') ? [{ value: '*', means: words.everyWorkspace }] : []
  return [...every, ...own.workspaces.map((value) => ({ value }))]
}

function timesOf({ expiresAt }: CurrentKey): number[] {
  const left = expiresAt ? (new Date(expiresAt).getTime() - Date.now()) / 1000 : Infinity
  return TIMES.filter((time) => time < left)
}
