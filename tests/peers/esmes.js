// ESMEs made of npm's smpp: they submit in windows, take their receipts, query, cancel and replace some of their messages, and
// report what they saw. Driven as the ESMEs in Python are, see esmes.py.
//
// `esmes.js PORT beyond`: what they submit goes to an SMSC beyond the gateway, whose it is then, so that nothing can be cancelled
// or replaced. It replies to some messages. One more ESME has one submit_sm unanswered at most.
'use strict';

const smpp = require('smpp');

// So many submit_sm of an ESME are unanswered at most, and so many receipts owed to all of them.
const WINDOW = 20;
const OWED_MAX = 400;
// An ESME that submits nothing asks so often whether the other side is there; the gateway asks more often.
const ENQUIRE_MS = 1500;
const TELL_MS = 50;
// So long it is listened after the last receipt, so that one that comes twice is seen.
const LISTEN_MS = 1000;

// The SMSC delivers after half a second. Messages are cancelled and replaced until shortly after, so some are there already.
const RECALL_MS = 600;
const BEYOND = process.argv[3] === 'beyond';
// To each such message there is a reply.
const REPLIED_TO = /^message \d*4$/;
const LATE = { cancel_sm: smpp.ESME_RCANCELFAIL, replace_sm: smpp.ESME_RREPLACEFAIL };

const seen = { messages: [], receipts: [], replies: [], unexpected: [], enquired: 0, enquiries_answered: 0 };
// By name: messages that were cancelled, and those whose receipts say so.
const cancelled = new Set();
const deleted = new Set();
let number = 0;
let submitted = 0;
// How many messages are still to be cancelled or replaced.
let recalls = 0;
let finishing = false;

// Replies that have not come yet.
const awaited = new Set();
const owed = () => submitted - seen.receipts.length + awaited.size;
const wrong = (what) => seen.unexpected.push(what);

const SOURCES = { busy: '100', pair: '101', steady: '102', late: '103' };
const TO = { dest_addr_ton: 1, destination_addr: '200' };

// One bind.
class Esme {
  constructor(port, account, mode, submits = true, window = WINDOW) {
    this.submits = submits;
    this.window = window;
    this.from = { source_addr_ton: 1, source_addr: SOURCES[account] };
    this.bound = this.leaving = false;
    // By number, so that a response to nothing is found; the library passes over those.
    this.unanswered = new Map();
    this.session = new smpp.Session({ host: '127.0.0.1', port });
    this.session.on('pdu', (pdu) => this.take(pdu));
    this.session.on('error', (error) => { throw error; });
    this.session.on('close', () => this.leaving || wrong('closed'));
    this.session.on('connect', () => {
      this.ask(`bind_${mode}`, { system_id: account, password: 'secret' }, () => { this.bound = true; });
    });
    if (!submits) {
      this.enquiring = setInterval(() => this.ask('enquire_link', {}, () => { seen.enquiries_answered += 1; }), ENQUIRE_MS);
    }
  }

  ask(command, parameters, then) {
    const pdu = new smpp.PDU(command, parameters);
    if (!this.session.send(pdu)) throw new Error(`${command} cannot be sent`);
    this.unanswered.set(pdu.sequence_number, { command, then });
  }

  take(pdu) {
    if (pdu.isResponse()) {
      const asked = this.unanswered.get(pdu.sequence_number);
      this.unanswered.delete(pdu.sequence_number);
      if (asked?.command + '_resp' !== pdu.command || ![0, LATE[asked.command]].includes(pdu.command_status)) {
        wrong(`${pdu.command} ${pdu.sequence_number}, status ${pdu.command_status}`);
      } else {
        asked.then(pdu);
      }
    } else if (pdu.command === 'deliver_sm') {
      this.receive(pdu);
    } else if (pdu.command === 'enquire_link') {
      seen.enquired += 1;
      this.session.send(pdu.response());
    } else {
      wrong(`${pdu.command} ${pdu.sequence_number}`);
    }
    this.fill();
  }

  // A reply, or a receipt, whose text and TLVs say the same.
  receive(pdu) {
    if (awaited.delete(pdu.short_message.message)) {
      if (pdu.esm_class !== 0 || pdu.source_addr !== TO.destination_addr) wrong(`a reply from ${pdu.source_addr}`);
      seen.replies.push(pdu.short_message.message);
      this.session.send(pdu.response());
      return;
    }
    const id = pdu.receipted_message_id;
    const text = /^id:(\S+) sub:001 dlvrd:(\d+) .* stat:(\S+) err:(\d+) text:.*$/.exec(pdu.short_message.message);
    const said = [...(text ?? []).slice(1), pdu.message_state].join();
    if (said === [id, '000', 'DELETED', '001', smpp.MESSAGE_STATE.DELETED].join()) {
      deleted.add(id);
    } else if (said !== [id, '001', 'DELIVRD', '000', smpp.MESSAGE_STATE.DELIVERED].join() || pdu.esm_class !== 4) {
      wrong(`deliver_sm ${pdu.short_message.message}`);
    }
    seen.receipts.push(id);
    this.session.send(pdu.response());
  }

  // Submits until the window is full.
  fill() {
    while (this.submits && this.bound && !finishing && this.unanswered.size < this.window && owed() < OWED_MAX) {
      const n = ++number;
      for (const [command, content, parameters] of this.window === 1 ? short(n) : message(n)) {
        submitted += 1;
        if (BEYOND && REPLIED_TO.test(content)) awaited.add(`reply to ${content}`);
        this.ask(command, { ...this.from, ...TO, registered_delivery: 1, ...parameters }, (response) => {
          const taken = { id: response.message_id, source: this.from.source_addr, content: content.toString('hex') };
          seen.messages.push(taken);
          if (n % 10 === 1) this.query(taken);
          if (n % 10 === 2) this.later(n, () => this.cancel(taken));
          if (n % 10 === 3) this.later(n, () => this.replace(taken, `another message ${n}`));
        });
      }
    }
  }

  // Under way, or delivered already.
  query({ id }) {
    this.ask('query_sm', { message_id: id, ...this.from }, (response) => {
      const { ENROUTE, DELIVERED } = smpp.MESSAGE_STATE;
      if (response.message_id !== id || ![ENROUTE, DELIVERED].includes(response.message_state)) {
        wrong(`query_sm_resp of ${id}: ${response.message_id}, ${response.message_state}`);
      }
    });
  }

  // At some time until the message is delivered, or shortly after.
  later(n, recall) {
    recalls += 1;
    setTimeout(() => {
      recalls -= 1;
      recall();
    }, (n * 37) % RECALL_MS);
  }

  cancel({ id }) {
    this.ask('cancel_sm', { message_id: id, ...this.from, ...TO }, (response) => {
      if (response.command_status === 0) cancelled.add(id);
    });
  }

  replace(taken, text) {
    this.ask('replace_sm', { message_id: taken.id, ...this.from, registered_delivery: 1, short_message: text }, (response) => {
      if (response.command_status === 0) taken.content = Buffer.from(text).toString('hex');
    });
  }

  leave() {
    clearInterval(this.enquiring);
    return new Promise((left) => {
      this.session.on('close', left);
      this.ask('unbind', {}, () => { this.leaving = true; });
    });
  }
}

// How a message is submitted, with what is in it: a short one, a long one in parts with a header of its own, or a long one in
// a TLV.
function message(n) {
  if (n % 10 === 7 || n % 10 === 8) {
    const payload = Buffer.from(`payload ${n} `.repeat(80));
    const parameters = { message_payload: { message: payload } };
    return [n % 10 === 7 ? ['submit_sm', payload, { short_message: '', ...parameters }] : ['data_sm', payload, parameters]];
  }
  if (n % 10 !== 0) {
    return short(n);
  }
  const text = `message ${n}` + ' grüßt 世界 🚀'.repeat(12);
  const parts = text.match(/[^]{1,66}/g);
  return parts.map((part, at) => {
    const udh = Buffer.from([5, 0, 3, n & 0xff, parts.length, at + 1]);
    const content = Buffer.concat([udh, Buffer.from(part, 'utf16le').swap16()]);
    return ['submit_sm', content, { esm_class: 0x40, data_coding: 8, short_message: { udh, message: part } }];
  });
}

function short(n) {
  const text = `message ${n}`;
  return [['submit_sm', Buffer.from(text), { short_message: text }]];
}

async function main() {
  const port = Number(process.argv[2]);
  const esmes = [
    new Esme(port, 'busy', 'transceiver'),
    new Esme(port, 'pair', 'transmitter'),
    new Esme(port, 'pair', 'receiver', false),
    new Esme(port, 'quiet', 'transceiver', false),
  ];
  if (BEYOND) esmes.push(new Esme(port, 'steady', 'transceiver', true, 1));
  process.stdin.on('data', (said) => {
    String(said).trim().split('\n').forEach(() => esmes.push(new Esme(port, 'late', 'transceiver')));
  });
  process.stdin.on('end', () => { finishing = true; });
  const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n');
  const later = (ms) => new Promise((then) => setTimeout(then, ms));
  while (!finishing || recalls > 0 || owed() > 0 || esmes.some((esme) => esme.unanswered.size > 0)) {
    const binds = esmes.filter((esme) => esme.bound).length;
    tell({ binds, answered: seen.messages.length, receipts: seen.receipts.length });
    esmes.forEach((esme) => esme.fill());
    await later(TELL_MS);
  }
  await later(LISTEN_MS);
  if ([...cancelled].sort().join() !== [...deleted].sort().join()) wrong('receipts of cancelled messages');
  if ((cancelled.size > 0) === BEYOND) wrong(`${cancelled.size} were cancelled`);
  await Promise.all(esmes.map((esme) => esme.leave()));
  tell({ report: seen });
}

main();
