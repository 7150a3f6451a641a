"""Layouts of labelled pictures: one row per layout, with the files that make it, and how it is read or refused."""

from dataclasses import dataclass, field

import pytest

from dream.errors import InputError
from dream.evaluation.classes.layouts.reading import read_all_classes, read_classes

EACH = 10
"""Pictures per class folder, unless a row says otherwise."""
WNIDS = ("n01440764", "n01443537", "n01484850")


@dataclass(frozen=True)
class Row:
    """A layout: its folders of pictures, its other files, and what comes of them."""

    name: str
    folders: dict[str, int] = field(default_factory=dict)
    """Pictures 0.jpg, 1.jpg, ... by folder."""
    files: dict[str, str] = field(default_factory=dict)
    """Text of other files; a name that ends with / is an empty folder, one that ends as pictures do is a picture."""
    classes: str = ""
    """Names of the classes, separated by blanks."""
    train: int | None = None
    test: int | None = None
    """Numbers of pictures; None: a fifth for testing, by a hash of the names."""
    says: str = ""
    """Words of the sentence that says how it was read."""
    refused: str = ""
    """Words of the refusal; empty if it is read."""


def of(*names, each=EACH, home=""):
    """Folders with `each` pictures."""
    return {f"{home}{name}": each for name in names}


def lines(*rows):
    return "".join(f"{row}\n" for row in rows)


def listed(name, *numbers, ending=""):
    return lines(*(f"{name}/{number}{ending}" for number in numbers))


TINY = of(*(f"train/{wnid}/images" for wnid in WNIDS))
FLAT_VAL = {f"val/images/val_{i}.JPEG": "" for i in range(6)}
IMAGENET = of(*WNIDS, home="ILSVRC/Data/CLS-LOC/train/")
IMAGENET_VAL = {f"ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_0000000{i}.JPEG": "" for i in range(1, 7)}
PETS = {f"images/{breed}_{i}.jpg": "" for breed in ("Abyssinian", "great_pyrenees") for i in range(1, 7)}
CUB = of("001.Black_footed_Albatross", "002.Laysan_Albatross", home="CUB/images/", each=2)
CUB_IMAGES = lines(
    "1 001.Black_footed_Albatross/0.jpg",
    "2 001.Black_footed_Albatross/1.jpg",
    "3 002.Laysan_Albatross/0.jpg",
    "4 002.Laysan_Albatross/1.jpg",
)

NUMBERED = {f"{split}/{i}.png": "" for split in ("train", "test") for i in range(8)}
CATS_AND_DOGS = lines("id,label", *(f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(8)))

READ = [
    Row(
        "one file with the splits in its names",
        {},
        {
            **NUMBERED,
            "labels.csv": lines("id,label", *(f"{name},{'cat' if '1' in name else 'dog'}" for name in NUMBERED)),
        },
        "cat dog",
        8,
        8,
        "classes from",
    ),
    Row(
        "a file per split with the same names in both",
        {},
        {**NUMBERED, "train.csv": CATS_AND_DOGS, "test.csv": CATS_AND_DOGS},
        "cat dog",
        8,
        8,
        "train.csv in train/",
    ),
    Row(
        "a smaller edition",
        of("train_mini/a1", "train_mini/b1", "val/a1", "val/b1"),
        classes="a1 b1",
        train=20,
        test=20,
    ),
    Row(
        "sizes in names",
        of("train_256/a1", "train_256/b1", "val_256/a1", "val_256/b1"),
        classes="a1 b1",
        train=20,
        test=20,
    ),
    Row(
        "a diagnosis per picture",
        {"img": 8},
        {"metadata.csv": lines("image_id,age,dx", *(f"{i},{i},{'nv' if i % 2 else 'mel'}" for i in range(8)))},
        "mel nv",
        says="metadata.csv",
    ),
    Row(
        "a header and a comment above lists",
        of("a1", "b1", home="images/", each=2),
        {
            "train.csv": lines("id,file", "1,a1/0.jpg", "2,b1/0.jpg"),
            "test.csv": lines("id,file", "3,a1/1.jpg", "4,b1/1.jpg"),
        },
        "a1 b1",
        2,
        2,
        "train.csv and test.csv: 2 classes, 2 train and 2 test pictures",
    ),
    # where class folders are
    Row("plain", of("cat", "dog"), classes="cat dog", says="class folders, a fifth"),
    Row("two wrappers", of("a.zip/inner/cat", "a.zip/inner/dog"), classes="cat dog", says="class folders in inner/"),
    Row(
        "images next to annotations without pictures",
        of("cat", "dog", home="Images/"),
        {"Annotation/cat/0": "<x/>"},
        "cat dog",
    ),
    Row("images next to maps", of("images/cat", "images/dog", "masks/cat", "masks/dog"), classes="cat dog"),
    Row(
        "Stanford Dogs",
        of("n02085620-Chihuahua", "n02088238-basset", home="Images/"),
        {"Annotation/n02085620-Chihuahua/a": "x", "lists/train_list.mat": "x"},
        "n02085620-Chihuahua n02088238-basset",
    ),
    Row(
        "Caltech-101",
        of("ant", "BACKGROUND_Google", home="caltech/101_ObjectCategories/"),
        {"caltech/Annotations/ant/a.mat": ""},
        "BACKGROUND_Google ant",
        says="BACKGROUND_Google counts as a class",
    ),
    Row("EuroSAT", of("AnnualCrop", "Forest", home="EuroSAT/2750/"), classes="AnnualCrop Forest"),
    Row("RESISC45", of("airplane", "airport", home="NWPU-RESISC45/"), classes="airplane airport"),
    Row(
        "SUN397",
        of("SUN397/a/abbey", "SUN397/a/airplane_cabin", "SUN397/c/cathedral/indoor", "SUN397/c/cathedral/outdoor"),
        classes="abbey airplane_cabin cathedral/indoor cathedral/outdoor",
        says="SUN397's layout",
    ),
    Row("SUN397 with one letter", of("a/abbey", "a/airport"), classes="abbey airport"),
    Row("a class of one letter in each bucket", of("a/ant", "b/bar", "b/bee"), classes="ant bar bee"),
    Row("letters as classes", of("A", "B", "C"), classes="A B C"),
    Row("WNID/images", of(*(f"{wnid}/images" for wnid in WNIDS)), classes=" ".join(WNIDS), says="with images/"),
    Row("images in some classes only", of("cat/images", "dog"), classes="cat dog"),
    Row(
        "empty and hidden folders",
        of("cat", "dog", "@eaDir", "__MACOSX/cat", ".git/x", "dog/@eaDir"),
        {"empty/": "", "owl/.keep": "", "owl/._0.jpg": ""},
        "cat dog",
    ),
    Row("capital endings", {}, {f"{name}/{i}.JPEG": "" for name in ("cat", "dog") for i in range(9)}, "cat dog"),
    Row(
        "rare classes are trained on first",
        {"cat": 9, "dog": 9, **of("x0", "x1", "x2", "x3", "x4", "x5", "x6", each=1)},
        classes="cat dog x0 x1 x2 x3 x4 x5 x6",
    ),
    Row("CLASS/CLASS", of("cat/cat", "dog/Dog"), classes="cat dog"),
    Row("a bucket in capitals", of("A/abbey", "B/bar"), classes="abbey bar"),
    Row("images next to ground truth", of("images/cat", "images/dog", "gt/cat", "gt/dog"), classes="cat dog"),
    # splits
    Row(
        "train and test",
        of("train/cat", "train/dog") | of("test/cat", "test/dog", each=3),
        classes="cat dog",
        train=20,
        test=6,
        says="train/ and test/",
    ),
    Row(
        "capitals", of("Train/cat", "Train/dog") | of("Val/cat", "Val/dog", each=2), classes="cat dog", train=20, test=4
    ),
    Row(
        "all capitals",
        of("TRAIN/cat", "TRAIN/dog") | of("TEST/cat", "TEST/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "training and validation",
        of("training/cat", "training/dog") | of("validation/cat", "validation/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "train and dev",
        of("train/cat", "train/dog") | of("dev/cat", "dev/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "train and valid",
        of("train/cat", "train/dog") | of("valid/cat", "valid/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "training and testing",
        of("training/cat", "training/dog") | of("testing/cat", "testing/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "train and eval",
        of("train/cat", "train/dog") | of("eval/cat", "eval/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "test before validation",
        of("train/cat", "train/dog", "val/cat", "val/dog") | of("test/cat", "test/dog", each=2),
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "seg_train/seg_train",
        of("seg_train/seg_train/sea", "seg_train/seg_train/street")
        | of("seg_test/seg_test/sea", "seg_test/seg_test/street", each=2)
        | {"seg_pred/seg_pred": 5},
        classes="sea street",
        train=20,
        test=4,
    ),
    Row(
        "splits below images",
        of("images/train/cat", "images/train/dog") | of("images/val/cat", "images/val/dog", each=1),
        {"labels/train/cat/0.txt": "0 1 1"},
        "cat dog",
        20,
        2,
    ),
    Row("a lone split", of("archive/val/cat", "archive/val/dog"), classes="cat dog"),
    Row(
        "a class called train",
        of("train/bus", "train/train") | of("test/bus", "test/train", each=2),
        classes="bus train",
        train=20,
        test=4,
    ),
    Row(
        "loose pictures next to splits",
        of("train/cat", "train/dog") | of("val/cat", "val/dog", each=2),
        {"cover.png": ""},
        "cat dog",
        20,
        4,
        "1 picture next to the splits left out",
    ),
    Row(
        "a test without classes",
        of("train/cat", "train/dog") | of("val/cat", "val/dog", each=2) | {"test": 5},
        classes="cat dog",
        train=20,
        test=4,
        says="test/ has no classes and is left out",
    ),
    Row(
        "unlabelled next to splits",
        of("train/cat", "train/dog") | of("test/cat", "test/dog", each=2) | {"unlabeled": 5},
        classes="cat dog",
        train=20,
        test=4,
    ),
    Row(
        "letters composed in two ways",
        of("train/été", "train/dog") | of("test/e\u0301te\u0301", "test/dog", each=1),
        classes="dog été",
        train=20,
        test=2,
    ),
    Row(
        "ILSVRC2012_img_train",
        of("ILSVRC2012_img_train/n01440764", "ILSVRC2012_img_train/n01443537") | {"ILSVRC2012_img_val": 2},
        {"val_map.txt": lines("0.jpg n01440764", "1.jpg n01443537")},
        "n01440764 n01443537",
        20,
        2,
    ),
    # lists
    Row(
        "food-101",
        of("apple_pie", "sushi", home="food-101/images/", each=4),
        {
            "food-101/meta/train.txt": listed("apple_pie", 0, 1, 2) + listed("sushi", 0, 1, 2),
            "food-101/meta/test.txt": listed("apple_pie", 3) + listed("sushi", 3),
            "food-101/meta/classes.txt": "apple_pie\nsushi\n",
        },
        "apple_pie sushi",
        6,
        2,
        "food-101's layout",
    ),
    Row(
        "food-101 by JSON",
        of("apple_pie", "sushi", home="images/", each=4),
        {
            "meta/train.json": '{"apple_pie": ["apple_pie/0", "apple_pie/1"], "sushi": ["sushi/1"]}',
            "meta/test.json": '{"apple_pie": ["apple_pie/3"], "sushi": ["sushi/3"]}',
        },
        "apple_pie sushi",
        3,
        2,
        "3 pictures in neither list",
    ),
    Row(
        "food-101 in part",
        of("apple_pie", "sushi", home="images/", each=2),
        {
            "meta/train.txt": listed("apple_pie", 0, 7) + listed("sushi", 0, 8),
            "meta/test.txt": listed("apple_pie", 1) + listed("sushi", 1),
        },
        "apple_pie sushi",
        2,
        2,
        "2 of the listed pictures not there",
    ),
    Row(
        "one list alone",
        of("apple_pie", "sushi", home="images/"),
        {"meta/train.txt": listed("apple_pie", 0)},
        "apple_pie sushi",
        says="meta/train.txt is not used, as the test list is missing",
    ),
    Row(
        "names with blanks in lists",
        of("hot dog", "ice cream", home="images/", each=2),
        {
            "meta/train.txt": listed("hot dog", 0) + listed("ice cream", 0),
            "meta/test.txt": listed("hot dog", 1) + listed("ice cream", 1),
        },
        "hot_dog ice_cream",
        2,
        2,
    ),
    Row(
        "DTD",
        of("banded", "dotted", home="dtd/images/", each=4),
        {
            f"dtd/labels/{role}{n}.txt": listed("banded", i, ending=".jpg") + listed("dotted", i, ending=".jpg")
            for n in (1, 2, 10)
            for i, role in enumerate(("train", "val", "test"))
        },
        "banded dotted",
        2,
        2,
        "split 1 of 3",
    ),
    Row(
        "SUN397 with its partitions",
        of("a/abbey", "b/bar", each=3),
        {
            f"Partitions/{role}_0{n}.txt": lines(f"/a/abbey/{i}.jpg", f"/b/bar/{i}.jpg")
            for n in (1, 2)
            for i, role in enumerate(("Training", "Testing"))
        },
        "abbey bar",
        2,
        2,
        "split 1 of 2",
    ),
    Row(
        "CUB",
        CUB,
        {"CUB/images.txt": CUB_IMAGES, "CUB/train_test_split.txt": lines("1 1", "2 0", "3 1", "4 0")},
        "001.Black_footed_Albatross 002.Laysan_Albatross",
        2,
        2,
        "CUB's layout",
    ),
    Row(
        "Oxford Pets",
        {},
        PETS
        | {
            "annotations/trimaps/Abyssinian_1.png": "",
            "annotations/trainval.txt": lines(
                *(f"Abyssinian_{i} 1 1 1" for i in range(1, 5)), *(f"great_pyrenees_{i} 2 2 1" for i in range(1, 5))
            ),
            "annotations/test.txt": lines("Abyssinian_5 1 1 1", "Abyssinian_6 1 1 1", "great_pyrenees_5 2 2 1"),
            "annotations/list.txt": "#Image CLASS-ID SPECIES BREED ID\n",
        },
        "Abyssinian great_pyrenees",
        8,
        3,
        "Oxford Pets' layout",
    ),
    Row(
        "MIT Indoor",
        of("bar", "spa", home="Images/", each=2),
        {"TrainImages.txt": lines("bar/0.jpg", "spa/0.jpg"), "TestImages.txt": lines("bar/1.jpg", "spa/1.jpg")},
        "bar spa",
        2,
        2,
    ),
    Row(
        "EuroSAT by Kaggle",
        of("Forest", "River", home="EuroSAT/", each=2),
        {
            "EuroSAT/train.csv": lines(",Filename,Label,ClassName", "0,Forest/0.jpg,0,Forest", "1,River/0.jpg,1,River"),
            "EuroSAT/test.csv": lines(",Filename,Label,ClassName", "0,Forest/1.jpg,0,Forest", "1,River/1.jpg,1,River"),
        },
        "Forest River",
        2,
        2,
    ),
    # label files of flat folders
    Row(
        "Tiny-ImageNet",
        TINY,
        FLAT_VAL
        | {
            "val/val_annotations.txt": lines(*(f"val_{i}.JPEG\t{WNIDS[i % 3]}\t0\t0\t9\t9" for i in range(6))),
            "wnids.txt": lines(*WNIDS),
            "test/images/test_0.JPEG": "",
        },
        " ".join(WNIDS),
        30,
        6,
        "Tiny-ImageNet's layout",
    ),
    Row(
        "ImageNet by Kaggle",
        IMAGENET,
        IMAGENET_VAL
        | {
            "LOC_val_solution.csv": lines(
                "ImageId,PredictionString",
                *(f"ILSVRC2012_val_0000000{i},{WNIDS[i % 3]} 85 1 499 272 {WNIDS[i % 3]} 1 1 2 2" for i in range(1, 7)),
            )
        },
        " ".join(WNIDS),
        30,
        6,
        "LOC_val_solution.csv",
    ),
    Row(
        "ImageNet by WNIDs inside",
        IMAGENET,
        IMAGENET_VAL
        | {
            "ILSVRC/Data/CLS-LOC/val/val.txt": lines(
                *(f"ILSVRC2012_val_0000000{i}.JPEG {WNIDS[i % 3]}" for i in range(1, 7))
            )
        },
        " ".join(WNIDS),
        30,
        6,
    ),
    Row(
        "ImageNet by sorted numbers",
        IMAGENET,
        IMAGENET_VAL
        | {"ILSVRC/Data/CLS-LOC/val.txt": lines(*(f"ILSVRC2012_val_0000000{i}.JPEG {i % 3}" for i in range(1, 7)))},
        " ".join(WNIDS),
        30,
        6,
    ),
    Row(
        "numbers with a list of classes",
        of("train/dog", "train/cat") | {"val": 4},
        {"val.txt": lines("0.jpg 0", "1.jpg 1", "2.jpg 0", "3.jpg 1"), "classes.txt": "dog\ncat\n"},
        "cat dog",
        20,
        4,
    ),
    Row(
        "a flat set with a table",
        {"pictures": 40},
        {"labels.csv": lines("id,breed", *(f"{i},{'beagle' if i % 2 else 'boxer'}" for i in range(40)))},
        "beagle boxer",
    ),
    Row(
        "names rather than numbers",
        of("train/dog", "train/cat") | {"val": 2},
        {"val.txt": lines("0.jpg 0", "1.jpg 1"), "val_names.txt": lines("0.jpg dog", "1.jpg cat")},
        "cat dog",
        20,
        2,
        "val_names.txt",
    ),
]

REFUSED = [
    Row(
        "a file of training labels is not about a test with the same names",
        {},
        {**NUMBERED, "trainLabels.csv": CATS_AND_DOGS, "sampleSubmission.csv": CATS_AND_DOGS},
        refused="test' has 8 pictures without classes",
    ),
    Row(
        "a file that does not say of which split its names are",
        {},
        {**NUMBERED, "labels.csv": CATS_AND_DOGS},
        refused="does not say of which of the two its '0.png' is",
    ),
    Row("parts of HAM10000", of("HAM_images_part_1", "HAM_images_part_2"), refused="numbered parts by their names"),
    Row("numbered volumes", of("Volume (1)", "Volume (2)"), refused="numbered parts by their names"),
    Row(
        "attributes of CelebA",
        {"img": 6},
        {"list_attr.csv": lines("image_id,5_o,Young", *(f"{i}.jpg,{i % 2},{i // 3}" for i in range(6)))},
        refused="all 6 pictures, and nothing says",
    ),
    Row(
        "splits of CelebA",
        {"img": 6},
        {"list_eval_partition.csv": lines("image_id,partition", *(f"{i}.jpg,{i % 2}" for i in range(6)))},
        refused="all 6 pictures, and nothing says",
    ),
    Row(
        "a column per class",
        {"img": 6},
        {"img/_classes.csv": lines("filename, cat, dog", *(f"{i}.jpg, {i % 2}, {1 - i % 2}" for i in range(6)))},
        refused="all 6 pictures, and nothing says",
    ),
    Row(
        "flat pictures in a folder of the split's own name",
        of("train/train/cat", "train/train/dog") | {"test/test": 4},
        refused="4 pictures without classes",
    ),
    Row("flat splits", {"cars_train": 9, "cars_test": 5}, refused="nothing says of which class"),
    Row(
        "flat splits of two domains",
        {"trainA": 3, "trainB": 3, "testA": 3, "testB": 3},
        refused="are splits by their names",
    ),
    Row("numbered parts", {"images_001/images": 3, "images_002/images": 3}, refused="numbered parts by their names"),
    Row("folds", {"fold1": 3, "fold2": 3}, refused="numbered parts by their names"),
    Row("pictures and their maps", {"images": 3, "mask": 3}, refused="all 3 pictures, and nothing says"),
    Row("pictures and something else", {"images": 3, "extra_views": 3}, refused="no classes by their names"),
    Row("nothing at all", refused="no class folders: there are no pictures"),
    Row("formats that are not decoded", {}, {"cat/0.ppm": "", "dog/0.ppm": ""}, refused=r"not decoded \(.ppm\)"),
    Row("one class", of("cat"), refused="all 10 pictures, and nothing says"),
    Row("one class in splits", of("train/cat", "test/cat"), refused="training pictures of one class only"),
    Row("one test class", of("train/cat", "train/dog", "test/cat"), refused="test pictures of one class only"),
    Row("a flat folder", {"": 9}, refused="all 9 pictures, and nothing says"),
    Row(
        "pictures and class folders",
        of("cat", "dog") | {"": 2},
        refused=r"holds 2 pictures and also folders with pictures \('cat', 'dog'\)",
    ),
    Row("pictures and folders in a class", of("cat", "dog", "dog/small"), refused="dog' holds 10 pictures and also"),
    Row(
        "different depths",
        of("cat", "dogs/beagle", "dogs/boxer"),
        refused=r"'dogs' has only subfolders while 'cat' holds pictures \(e.g. 'dogs/beagle'",
    ),
    Row(
        "classes of classes",
        of("birds/owl", "birds/tit", "fish/carp", "fish/eel"),
        refused="'birds', 'fish' have only subfolders",
    ),
    Row(
        "domains",
        of("Art/cup", "Art/pen", "Clipart/cup", "Clipart/pen"),
        refused="the same folders lie below 'Art', 'Clipart'",
    ),
    Row("one domain each", of("Art/cup", "Clipart/cup"), refused="the same folders lie below"),
    Row(
        "splits in classes",
        of("cat/train", "cat/test", "dog/train", "dog/test"),
        refused="the same folders lie below 'cat', 'dog'",
    ),
    Row("depths in a bucket", of("a/abbey", "a/abbey/inside", "b/bar"), refused="abbey' holds 10 pictures and also"),
    Row(
        "classes next to a test",
        of("cat", "dog", "test/cat", "test/dog"),
        refused="has the split 'test' next to other folders",
    ),
    Row("classes next to a flat test", of("cat", "dog", "Test"), refused="has the split 'Test' next to other folders"),
    Row(
        "classes next to splits",
        of("train/cat", "train/dog", "val/cat", "val/dog", "owl"),
        refused=r"next to other folders with pictures \('owl'\)",
    ),
    Row("no training", of("val/cat", "val/dog", "test/cat", "test/dog"), refused="but no training pictures"),
    Row(
        "two validations of one name",
        of("train/cat", "train/dog", "val/cat", "validation/cat"),
        refused="both mean 'val'",
    ),
    Row("an empty test", of("train/cat", "train/dog"), {"test/": ""}, refused="the split 'test' without any picture"),
    Row(
        "a test of empty classes",
        of("train/cat", "train/dog"),
        {"test/cat/": "", "test/dog/": ""},
        refused="the split 'test' without any picture",
    ),
    Row("an empty train", of("test/cat", "test/dog"), {"train/": ""}, refused="the split 'train' without any picture"),
    Row(
        "an unknown test class",
        of("train/cat", "train/dog", "test/cat", "test/owl"),
        refused="1 class without any training picture .'owl'",
    ),
    Row("a test without any class", of("train/cat", "train/dog") | {"test": 5}, refused="5 pictures without classes"),
    Row(
        "a train without any class",
        of("test/cat", "test/dog") | {"train": 5},
        refused="all 5 pictures, and nothing says",
    ),
    Row("Tiny-ImageNet without annotations", TINY, FLAT_VAL, refused="6 pictures without classes"),
    Row(
        "captions are no classes",
        of("train/cat", "train/dog") | {"val": 2},
        {"val/captions.txt": lines("0.jpg a cat", "1.jpg the dog")},
        refused="2 pictures without classes",
    ),
    Row(
        "the devkit's numbers",
        IMAGENET,
        IMAGENET_VAL | {"ILSVRC2012_validation_ground_truth.txt": lines(*range(1, 7))},
        refused="order of the devkit's meta.mat",
    ),
    Row(
        "numbers from one",
        IMAGENET,
        IMAGENET_VAL | {"val.txt": lines(*(f"ILSVRC2012_val_0000000{i}.JPEG {1 + i % 3}" for i in range(1, 7)))},
        refused="numbers the classes from 1 to 3",
    ),
    Row(
        "numbers without an order",
        of("train/dog", "train/cat") | {"val": 4},
        {"val.txt": lines("0.jpg 0", "1.jpg 1", "2.jpg 0", "3.jpg 1")},
        refused="nothing says which number is which",
    ),
    Row(
        "files that contradict each other",
        of("train/dog", "train/cat") | {"val": 2},
        {"a.txt": lines("0.jpg dog", "1.jpg cat"), "b.txt": lines("0.jpg cat", "1.jpg cat")},
        refused="give two classes to '0.jpg'",
    ),
    Row(
        "a picture in both lists",
        of("a1", "b1", home="images/", each=2),
        {"meta/train.txt": listed("a1", 0) + listed("b1", 0), "meta/test.txt": listed("a1", 0, 1) + listed("b1", 1)},
        refused="both for training and for testing",
    ),
    Row(
        "a list of pictures that are not there",
        of("a1", "b1", home="images/", each=2),
        {"meta/train.txt": listed("a1", 0) + listed("b1", 0), "meta/test.txt": listed("a1", 5) + listed("b1", 5)},
        refused="none of the 2 test pictures is there",
    ),
    Row(
        "lists with other classes",
        {"images": 4},
        {
            "train.csv": lines("filename,label", "0.jpg,n01", "1.jpg,n01"),
            "test.csv": lines("filename,label", "2.jpg,n02", "3.jpg,n02"),
        },
        refused="one class only",
    ),
    Row("annotations among classes", of("cat", "dog", "annotations"), refused="annotations are no class"),
]


def written(root, row):
    """The row's files below `root`; pictures are empty, as reading a layout opens none."""
    names = [f"{folder}/{i}.jpg" for folder, count in row.folders.items() for i in range(count)]
    for name, text in (dict.fromkeys(names, "") | row.files).items():
        path = root / name.lstrip("/")
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text)
    return root


@pytest.mark.parametrize("row", READ, ids=lambda row: row.name)
def test_a_layout_is_read_as_it_is(row, tmp_path):
    reading = read_classes(written(tmp_path, row))
    assert [name.replace(" ", "_") for name in reading.classes] == row.classes.split()
    pictures = sum(row.folders.values()) + sum("." in name for name in row.files)
    if row.train is not None:
        assert (len(reading.train), len(reading.test)) == (row.train, row.test)
    else:
        assert 0 < len(reading.test) < len(reading.train) <= pictures
    assert row.says in reading.sentence and f"{len(reading.classes)} classes" in reading.sentence
    for each in (*reading.train, *reading.test):
        assert each.key.startswith(f"{reading.classes[each.label]}/") and each.read() == b""
    assert (
        not {each.key for each in reading.train} & {each.key for each in reading.test}
        or "train and" in row.name
        or row.train
    )


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_what_could_be_read_in_two_ways_is_refused(row, tmp_path):
    with pytest.raises(InputError, match=row.refused) as refusal:
        read_classes(written(tmp_path, row))
    assert "expected" in str(refusal.value) or ":" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_set_that_nothing_is_trained_on_may_have_one_class(tmp_path):
    rows, classes = read_all_classes(written(tmp_path, Row("", of("sketch/n02"))))
    assert classes == ("n02",) and len(rows) == EACH


def test_labels_of_a_single_split_may_lie_next_to_it(tmp_path):
    pictures = [f"ILSVRC2012_val_0000000{i}.JPEG" for i in range(8)]
    labels = {
        "LOC_val_solution.csv": lines(
            "ImageId,PredictionString", *(f"{p[:-5]},{WNIDS[i % 2]} 1 2 3 4" for i, p in enumerate(pictures))
        )
    }
    written(tmp_path, Row("", {}, {f"val/{name}": "" for name in pictures} | labels))
    reading = read_classes(tmp_path / "val")
    assert reading.classes == WNIDS[:2] and len(reading.train) + len(reading.test) == 8
    before = reading.digest
    (tmp_path / "LOC_val_solution.csv").write_text(
        labels["LOC_val_solution.csv"].replace(f"0,{WNIDS[0]}", f"0,{WNIDS[1]}")
    )
    assert read_classes(tmp_path / "val").digest != before
