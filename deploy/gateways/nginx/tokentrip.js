// The claims of the bearer token and a keyed hash of it, for the log format in njs.conf. Nothing here is verified.
// Hashed is what was signed, header and payload as they are written: whoever spells the signature another way (ECDSA has
// two of each) presents the same token. With map.conf, what Tokentrip denies is refused.
import crypto from 'crypto';
import fs from 'fs';

const KEY = fs.readFileSync('/etc/nginx/tokentrip.key');

// Each request runs in a machine of its own, so this holds one token.
let seen;

function token(r) {
    if (seen === undefined) {
        seen = read(r.headersIn.Authorization || '');
    }
    return seen;
}

function read(header) {
    const found = /^(?:bearer|dpop) +([\w-]+)\.([\w-]+)\./i.exec(header);
    if (!found) {
        return { claims: {}, header: {}, hash: '' };
    }
    const said = found[1] + '.' + found[2];
    return {
        header: part(found[1]),
        claims: part(found[2]),
        hash: crypto.createHmac('sha256', KEY).update(said).digest('hex'),
    };
}

function part(text) {
    try {
        return JSON.parse(Buffer.from(text, 'base64url').toString()) || {};
    } catch (e) {
        return {};
    }
}

function text(value) {
    return value === undefined || value === null ? '' : String(value);
}

// How Tokentrip names what it denies: the same in every copy of its denylist.
function key(r, kind, claim) {
    const claims = token(r).claims;
    if (claims[claim] === undefined) {
        return '';
    }
    const named = kind + '|' + text(claims.iss) + '|' + text(claims[claim]);
    return crypto.createHash('sha256').update(named).digest('hex');
}

// A token is denied when it was issued before the second of its entry.
function denied(r) {
    const v = r.variables;
    const iat = Number(token(r).claims.iat);
    const issued = Number.isNaN(iat) ? -1 : iat;
    const seconds = [v.tokentrip_jti_second, v.tokentrip_sid_second, v.tokentrip_sub_second];
    return seconds.some((second) => second && issued < Number(second)) ? '1' : '';
}

export default {
    denied,
    jtiKey: (r) => key(r, 'jti', 'jti'),
    sidKey: (r) => key(r, 'sid', 'sid'),
    subKey: (r) => key(r, 'subject', 'sub'),
    hash: (r) => token(r).hash,
    iss: (r) => text(token(r).claims.iss),
    sub: (r) => text(token(r).claims.sub),
    azp: (r) => text(token(r).claims.azp || token(r).claims.client_id),
    jti: (r) => text(token(r).claims.jti),
    sid: (r) => text(token(r).claims.sid),
    iat: (r) => text(token(r).claims.iat),
    exp: (r) => text(token(r).claims.exp),
    alg: (r) => text(token(r).header.alg),
};
