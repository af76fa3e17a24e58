package org.lvtmobile.app

import android.content.ClipData
import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.graphics.Bitmap
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.os.StrictMode
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

private const val FOLDER = "shared"
private const val MIME_TYPE = "image/png"

/** Files that are kept for apps that still read them. */
private const val KEPT_FILES = 8

private val FILE_NAME = Regex("""lvt-\d+\.png""")

private fun sharedFolder(context: Context) = File(context.cacheDir, FOLDER)

/**
 * Writes a picture to the cache and creates the intent to share it with another app. Each picture has a file of its
 * own, because an app can still read the one before.
 *
 * @param text text to share with the picture.
 * @throws java.io.IOException the picture cannot be written.
 */
fun sharePicture(context: Context, picture: Bitmap, text: String): Intent {
    StrictMode.noteSlowCall("share")
    val folder = sharedFolder(context)
    folder.mkdirs()
    val old = folder.listFiles().orEmpty().sortedByDescending { number(it) }
    val file = File(folder, "lvt-${(old.firstOrNull()?.let(::number) ?: 0) + 1}.png")
    file.outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
    old.drop(KEPT_FILES - 1).forEach(File::delete)
    val uri = Uri.parse("content://${context.packageName}.shared/${file.name}")
    val send = Intent(Intent.ACTION_SEND).apply {
        type = MIME_TYPE
        putExtra(Intent.EXTRA_STREAM, uri)
        putExtra(Intent.EXTRA_TEXT, text)
        clipData = ClipData.newRawUri(null, uri) // passes the read permission to the chosen app
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
    return Intent.createChooser(send, null)
}

/** Creates the intent to share a text. */
fun shareText(text: String): Intent =
    Intent.createChooser(Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text), null)

private fun number(file: File): Int = file.name.filter(Char::isDigit).toIntOrNull() ?: 0

/** Gives read access to shared pictures only, and only to the app that the user chose. */
class SharedPictureProvider : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = MIME_TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val file = file(uri)
        if (file == null || mode != "r") throw FileNotFoundException("cannot open $uri with mode $mode")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
    }

    private fun file(uri: Uri): File? =
        uri.lastPathSegment?.takeIf(FILE_NAME::matches)?.let { File(sharedFolder(checkNotNull(context)), it) }

    override fun query(
        uri: Uri,
        projection: Array<String>?,
        selection: String?,
        selectionArgs: Array<String>?,
        sortOrder: String?,
    ): Cursor {
        val columns = projection ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        val cursor = MatrixCursor(columns)
        cursor.addRow(
            columns.map {
                when (it) {
                    OpenableColumns.DISPLAY_NAME -> file(uri)?.name
                    OpenableColumns.SIZE -> file(uri)?.length()
                    else -> null
                }
            },
        )
        return cursor
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, args: Array<String>?): Int = 0

    override fun delete(uri: Uri, selection: String?, args: Array<String>?): Int = 0
}
