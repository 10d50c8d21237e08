package natsserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// User is what a file of credentials says of a user.
type User = jwt.UserClaims

// Operated is a server that believes an operator, and the only account.
type Operated struct {
	*Server
	account nkeys.KeyPair
}

// StartOperated starts a server with an operator. more is the rest of its
// configuration.
func StartOperated(t testing.TB, more string) *Operated {
	t.Helper()
	operator, operatorKey := pair(t, nkeys.CreateOperator)
	account, accountKey := pair(t, nkeys.CreateAccount)
	text := fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n%s",
		signed(t, jwt.NewOperatorClaims(operatorKey), operator), accountKey, signed(t, jwt.NewAccountClaims(accountKey), operator), more)
	return &Operated{Start(t, text), account}
}

// Credentials makes a file of credentials for a user as edit leaves it.
func (o *Operated) Credentials(edit func(*User)) (file string) {
	o.t.Helper()
	user, key := pair(o.t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(key)
	edit(claims)
	seed, err := user.Seed()
	if err != nil {
		o.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(signed(o.t, claims, o.account), seed)
	if err != nil {
		o.t.Fatal(err)
	}
	file = filepath.Join(o.t.TempDir(), "user.creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return file
}

func pair(t testing.TB, create func() (nkeys.KeyPair, error)) (kp nkeys.KeyPair, public string) {
	t.Helper()
	kp, err := create()
	if err == nil {
		public, err = kp.PublicKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	return kp, public
}

func signed(t testing.TB, c jwt.Claims, by nkeys.KeyPair) string {
	t.Helper()
	text, err := c.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
