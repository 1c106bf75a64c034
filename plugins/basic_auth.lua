-- Lets in who brings a user's name and password (HTTP Basic, RFC 7617). docs/basic-auth.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    users = {type = "any"},
    file = {type = "string"},
    realm = {type = "string", default = "weir"},
    user_header = {type = "name"},
    forward = {type = "boolean", default = true},
})

if config.realm:find('[%c"\\\128-\255]') then
    error("config.realm must be plain ASCII without quotes and backslashes", 0)
end

local hashes = {} -- by the user's name

local function add(place, user, hash)
    if type(user) ~= "string" or user == "" or user:find("[%c:]") then
        error(string.format("%s: a user's name must be text without a colon, not %q", place, tostring(user)), 0)
    end
    if hashes[user] then error(string.format("%s: the user %q is there twice", place, user), 0) end
    -- A password with NUL never matches, and is found out without the work: this only looks at the hash.
    if type(hash) ~= "string" or weir.crypto.check_password("\0", hash) == nil then
        error(string.format("%s: the user %q has no password hash that can be checked; make one with " ..
                            "`htpasswd -nbB USER PASSWORD` or `openssl passwd -6`", place, user), 0)
    end
    hashes[user] = hash
end

local function add_users(users)
    if type(users) ~= "table" or #users > 0 then error("config.users must be a mapping of names to password hashes", 0) end
    for user, hash in pairs(users) do
        add("config.users", user, hash)
    end
end

-- As htpasswd writes it: NAME:HASH on each line.
local function add_file(name)
    if not io then error("config.file needs `trusted: on` for this plugin: others cannot read files", 0) end
    local file, why = io.open(name)
    if not file then error("config.file: " .. why, 0) end
    local number = 0
    for line in file:lines() do
        number = number + 1
        local user, hash = line:match("^([^#:][^:]*):([^:%s]+)%s*$")
        if user then
            add(name .. ":" .. number, user, hash)
        elseif not line:find("^%s*#") and line:find("%S") then
            error(string.format("%s:%d: a line must be NAME:HASH", name, number), 0)
        end
    end
    file:close()
end

if config.users then add_users(config.users) end
if config.file then add_file(config.file) end
local some_user = next(hashes)
if not some_user then error("config.users or config.file must give a user", 0) end

-- Who has been let in need not be checked again at full cost: what is kept is worth nothing outside this state.
local key = assert(weir.crypto.random(32))
local known = {} -- by the user's name

-- For a name that nobody has, another's hash is checked, so that the time does not tell which names there are.
local function is_right(user, password)
    local hash = hashes[user]
    local mac = weir.crypto.hmac(key, user .. ":" .. password)
    if known[user] and weir.crypto.equal(known[user], mac) then return true end
    local matches = weir.crypto.check_password(password, hash or hashes[some_user])
    if not hash or not matches then return false end
    known[user] = mac
    return true
end

-- The name of who may pass, or nil.
local function who(req)
    local given = (req.headers["authorization"] or ""):match("^[Bb][Aa][Ss][Ii][Cc] +([%w+/]+=*)$")
    local pair = given and weir.crypto.base64_decode(given)
    if not pair then return nil end
    local user, password = pair:match("^([^:]*):(.*)$")
    return user and is_right(user, password) and user or nil
end

local challenge = string.format('Basic realm="%s", charset="UTF-8"', config.realm)
local basic_auth = {}

function basic_auth.on_request(req)
    local user = who(req)
    if not user then
        return req:reply(401, {["www-authenticate"] = challenge, ["content-type"] = "text/plain; charset=utf-8",
                               ["cache-control"] = "no-store"}, "a name and a password are needed\n")
    end
    if config.user_header then req:set_request_header(config.user_header, user) end
    if not config.forward then req:remove_request_header("Authorization") end
end

return basic_auth
