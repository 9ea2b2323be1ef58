// An ESME made of npm's smpp that asks what it is told, and says what it is answered.
//
// `told.js PORT`. Each line on stdin is one JSON array of requests, `[command, parameters]` each, which are sent at once; on stdout
// comes one JSON array of what answers them, in their order: the response's parameters. `["connect"]` is another connection, on
// which the next requests go. What comes unasked is answered, and receipts are kept until they are asked for by `["receipts"]`.
'use strict';

const readline = require('readline');
const smpp = require('smpp');

const receipts = [];

function connect() {
  const session = new smpp.Session({ host: '127.0.0.1', port: Number(process.argv[2]) });
  session.on('error', (error) => { throw error; });
  session.on('close', () => { session.closed = true; });
  session.on('pdu', (pdu) => {
    if (pdu.isResponse()) return;
    if (pdu.command === 'deliver_sm') receipts.push({ id: pdu.receipted_message_id, state: pdu.message_state });
    session.send(pdu.response());
  });
  return new Promise((connected) => session.on('connect', () => connected(session)));
}

function ask(session, command, parameters) {
  return new Promise((answered, refused) => {
    const closed = () => answered({ closed: true });
    const pdu = new smpp.PDU(command, parameters);
    const then = (response) => {
      session.removeListener('close', closed);
      const { command_status, message_id, message_state, final_date, unsuccess_sme } = response;
      const right = response.command === `${command}_resp` || response.command === 'generic_nack';
      if (!right) refused(new Error(`${response.command} answers ${command}`));
      answered({ status: command_status, message_id, message_state, final_date, unsuccess_sme });
    };
    if (session.closed || !session.send(pdu, then)) closed();
    else session.on('close', closed);
  });
}

async function main() {
  let session = await connect();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const answers = [];
    for (const [command, parameters] of JSON.parse(line)) {
      if (command === 'connect') {
        session = await connect();
      } else if (command === 'receipts') {
        answers.push({ receipts: receipts.splice(0) });
      } else {
        answers.push(ask(session, command, parameters));
      }
    }
    process.stdout.write(JSON.stringify(await Promise.all(answers)) + '\n');
  }
  process.exit(0);
}

main();
