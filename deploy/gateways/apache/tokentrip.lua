-- Apache 2.4 with mod_lua and LuaSocket (Debian: apt-get install lua-socket; a2enmod lua): asks /v1/check before each
-- request. `check` FAILS CLOSED: while the daemon is away, requests are answered 503. `check_fail_open` lets them pass.
local socket = require 'socket'

local HOST, PORT = '127.0.0.1', 9797
-- The answer comes from memory, in far less than this.
local SECONDS = 0.25

-- What a token can stand in, and what tells one client from another.
local FIELDS = {
    'Authorization', 'Proxy-Authorization', 'Cookie', 'X-Access-Token', 'X-Auth-Token', 'X-Forwarded-Access-Token',
    'Sec-WebSocket-Protocol', 'User-Agent', 'Accept-Language', 'Referer',
}

local function field(name, value)
    -- A value ends its line and nothing else.
    return name .. ': ' .. value:gsub('%c', ' ') .. '\r\n'
end

-- The status of the answer; nil while there is none.
local function ask(r)
    local daemon = socket.tcp()
    daemon:settimeout(SECONDS)
    if not daemon:connect(HOST, PORT) then
        return nil
    end
    local question = 'GET /v1/check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
        .. field('X-Original-URI', r.unparsed_uri)
        .. field('X-Original-Method', r.method)
        -- After mod_remoteip, where there is a load balancer: Apache says who its client is.
        .. field('X-Forwarded-For', r.useragent_ip)
    local id = r.subprocess_env['UNIQUE_ID']
    if id then
        question = question .. field('X-Request-Id', id)
    end
    for _, name in ipairs(FIELDS) do
        local value = r.headers_in[name]
        if value then
            question = question .. field(name, value)
        end
    end
    local line = daemon:send(question .. '\r\n') and daemon:receive('*l')
    daemon:close()
    return line and tonumber(line:match('^HTTP/1%.1 (%d%d%d)'))
end

local function judge(r, away)
    local status = ask(r)
    if status == 401 then
        r.err_headers_out['WWW-Authenticate'] = 'Bearer error="invalid_token"'
        return 401
    end
    return status == 200 and apache2.DECLINED or away
end

function check(r)
    return judge(r, 503)
end

function check_fail_open(r)
    return judge(r, apache2.DECLINED)
end
