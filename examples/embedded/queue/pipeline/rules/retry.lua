-- Seconds until the next attempt, or nil when there is none.
function retry(message, attempt, error)
  if attempt >= 3 then return nil end
  if error:find("busy", 1, true) then return 0.01 * attempt end
  return 0.05
end
