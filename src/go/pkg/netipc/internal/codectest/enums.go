package codectest

import (
	"fmt"
	"reflect"
	"strconv"
	"testing"
)

// mostEnumValue is above every value that a schema names.
const mostEnumValue = 1 << 10

// enumsHaveNames shows of each enumeration in a message, or in what it holds, that no two of its values print
// alike, and that a value without a name prints its number.
func enumsHaveNames(t *testing.T, of reflect.Type) {
	switch of.Kind() {
	case reflect.Struct:
		for i := range of.NumField() {
			enumsHaveNames(t, of.Field(i).Type)
		}
	case reflect.Slice, reflect.Array, reflect.Pointer:
		enumsHaveNames(t, of.Elem())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if of.Implements(reflect.TypeFor[fmt.Stringer]()) {
			enumHasNames(t, of)
		}
	}
}

func enumHasNames(t *testing.T, of reflect.Type) {
	t.Helper()
	printed, named := make(map[string]uint64), 0
	value := reflect.New(of).Elem()
	most := uint64(min(mostEnumValue, 1<<of.Bits()-1))
	for number := range most + 1 {
		value.SetUint(number)
		name := value.Interface().(fmt.Stringer).String()
		if before, taken := printed[name]; taken {
			t.Errorf("%v: %d and %d print as %q", of, before, number, name)
		}
		printed[name] = number
		if name != strconv.FormatUint(number, 10) {
			named++
		}
	}
	if named == 0 || named > mostEnumValue/2 {
		t.Errorf("%v: %d values have names", of, named)
	}
}
