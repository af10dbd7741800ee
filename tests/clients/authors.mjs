// Prints what clients/verify says of the authors of events: a JSON list of events in the ledger's form on standard input.
import { readFileSync } from 'node:fs';
import { authorOf } from '../../clients/verify/verify.mjs';

const events = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await Promise.all(events.map(authorOf))));
