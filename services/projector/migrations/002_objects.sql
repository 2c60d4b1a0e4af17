-- Which objects of the content store an email refers to: its files, and its body where that is too large for a row.
--
-- Emails of one batch share objects, and a resent email refers to those of the first: an object goes with the last
-- email that refers to it, and one that no email refers to is swept.

CREATE TABLE objects (
    email_id uuid NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (email_id, workspace, key)
);
CREATE INDEX objects_by_key ON objects (key);

-- Bodies from before: a MessagePack map that begins with `key` and a string of 32 to 255 bytes.
INSERT INTO objects (email_id, workspace, key)
SELECT email_id, workspace, convert_from(substring(body FROM 8 FOR get_byte(body, 6)), 'UTF8')
FROM contents
WHERE substring(body FROM 2 FOR 5) = '\xa36b6579d9';
